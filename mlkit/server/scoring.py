"""Answer one query: features, rules, model, and the log entry before the reply is sent."""

import time
from collections.abc import Callable
from datetime import datetime

import numpy as np

from mlkit import epoch
from mlkit.errors import InvalidInputError
from mlkit.flows.features.looked_up import Tally
from mlkit.flows.features.requests import Ids, RequestFeatures
from mlkit.flows.log.repeated_requests import Key
from mlkit.flows.registry import input_schema
from mlkit.project import Project
from mlkit.server import wire
from mlkit.server.idempotency import IdempotentReplies
from mlkit.server.metrics.meter import Meter
from mlkit.server.models.held import Classes, Held, classes_of
from mlkit.server.query import Answers, Query
from mlkit.server.recorder import Recorder
from mlkit.steps.inputs.rows import Rows
from mlkit.steps.inputs.values import UnfitValueError, refuse_long
from mlkit.store.base import new_ids
from mlkit.store.log_columns import Entry
from mlkit.store.registry import ModelVersion

RowCheck = Callable[[Held, Rows | np.ndarray], None]


class Scorer:
    """Answer queries with loaded versions."""

    def __init__(
        self, project: Project, recorder: Recorder, meter: Meter, check: RowCheck | None = None
    ) -> None:
        """``check`` gets all rows, features included, before the model and may refuse them."""
        self._project = project
        self._recorder = recorder
        self._meter = meter
        self._check_rows = check
        self._replies = IdempotentReplies(project)
        self._max_rows = project.settings.server.max_rows
        self._max_chars = project.settings.server.max_text_chars

    def answer(self, held: Held, query: Query, started: int) -> Answers:
        """Return the answers to ``query``, which arrived at ``started`` (``perf_counter_ns``).

        Raises RefusedError or InvalidInputError for a bad query, BusyError if the log cannot be
        written.
        """
        self._check(query)
        if query.request_id is None:
            entry = self._entry(held, query, started)
            return _answers(held.loaded.model, held.classes, entry)
        return self._answer_once(held, query, query.request_id, started)

    def _check(self, query: Query) -> None:
        count = len(query.rows)
        if not count:
            raise InvalidInputError("there are no rows; send at least one")
        wire.refuse_many(count, self._max_rows)
        if query.entity_ids is not None and len(query.entity_ids) != count:
            raise InvalidInputError(f"{len(query.entity_ids)} entity_ids for {count} rows")
        self._refuse_long(query.entity_ids or ())

    def _refuse_long(self, entity_ids: Ids) -> None:
        """Raise InvalidInputError if an entity id is too long for the log."""
        for row, identifier in enumerate(entity_ids):
            try:
                refuse_long(identifier, self._max_chars)
            except UnfitValueError as error:
                problem = {"row": row, "column": "entity_ids", "problem": str(error)}
                raise InvalidInputError(
                    f"entity_ids, row {row}: {error}", {"problems": [problem]}
                ) from error

    def _answer_once(self, held: Held, query: Query, request_id: str, started: int) -> Answers:
        """Answer a request id chosen by the client: repeated requests get the same answers.

        Raises ConflictError if the client has used the id for another request.
        """
        loaded, digest = held.loaded, query.digest
        key = Key(loaded.model_id, request_id, query.owner)
        known = self._replies.recent(key, digest)
        if known is not None:
            return known
        with self._replies.serialized(key):
            entry = self._replies.recorded(key, digest)
            classes = held.classes if entry is None else self._classes_of(held, entry)
            entry = entry or self._entry(held, query, started)
            answers = _answers(loaded.model, classes, entry)
        self._replies.remember(key, digest, answers)
        return answers

    def _entry(self, held: Held, query: Query, started: int) -> Entry:
        """Predict, and write the answers to the log."""
        loaded = held.loaded
        now = self._project.now()
        rows = query.rows
        entity_ids: Ids | None = query.entity_ids
        if held.features is not None:
            rows, entity_ids = self._completed(held, held.features, query, now)
        if self._check_rows is not None:
            self._check_rows(held, rows)
        matrix = rows if isinstance(rows, np.ndarray) else held.reader.matrix(rows)
        features = rows if isinstance(rows, list) and not held.reader.numeric else _bytes(matrix)
        found = held.ask(matrix)  # a user's estimator may write into its matrix
        own_id, *ids = new_ids(now, len(rows) + 1)
        probabilities = found.probabilities
        entry = Entry(
            query.request_id or own_id,
            loaded.model_id,
            loaded.version_id,
            loaded.version,
            loaded.role,
            epoch.to_us(now),
            (time.perf_counter_ns() - started) // 1000,
            ids,
            _entities(entity_ids),
            features,
            found.values,
            None if probabilities is None else probabilities.tolist(),
            query.owner,
            query.digest,
        )
        self._recorder.record(entry, now)
        return entry

    def _completed(
        self, held: Held, features: RequestFeatures, query: Query, now: datetime
    ) -> tuple[Rows | np.ndarray, Ids | None]:
        """Return the rows with the features of the online store, and their entity ids."""
        tally: Tally = {}
        try:
            if isinstance(query.rows, np.ndarray):
                features.note_given(len(query.rows), tally)
                return query.rows, query.entity_ids
            return features.complete(query.rows, query.entity_ids, now, tally)
        finally:
            for view, counts in tally.items():
                self._meter.looked_up(held.loaded.model, view, counts)

    def _classes_of(self, held: Held, entry: Entry) -> Classes:
        """Return the classes of the version that answered ``entry``, which may be an older one."""
        if entry.version_id == held.loaded.version_id:
            return held.classes
        with self._project.read() as s:
            version = s.get_one(ModelVersion, entry.version_id)
            return classes_of(input_schema.of(version))


def _answers(model: str, classes: Classes, entry: Entry) -> Answers:
    """Return the answers in a log entry."""
    return Answers(
        entry.request_id,
        model,
        entry.version,
        entry.role,
        entry.ids,
        entry.values,
        entry.probabilities,
        classes.labels,
        classes.values,
    )


def _bytes(matrix: np.ndarray) -> bytes:
    """Return ``Entry.features`` of rows without a missing value or any other type than numbers."""
    return matrix.astype("<f8", copy=False).tobytes()


def _entities(ids: Ids | None) -> list[str | None] | None:
    if ids is None:
        return None
    return [None if identifier is None else str(identifier) for identifier in ids]
