"""Answer one prediction request: rows in, values out, on record before the reply leaves."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec

from mlkit.errors import InvalidInputError
from mlkit.project import Project
from mlkit.server import wire
from mlkit.server.holder import Held, Holder, label_names
from mlkit.server.problems import RefusedError
from mlkit.server.recorder import Recorder
from mlkit.server.replay import Replay
from mlkit.steps import encode
from mlkit.steps.columns import InputSchema
from mlkit.store.base import new_ids
from mlkit.store.journal import Entry
from mlkit.store.registry import ModelVersion

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

RequestId = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /predict/<model>``."""

    rows: list[dict[str, Any]]
    entity_ids: list[str | int | None] | None = None
    request_id: RequestId | None = None


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to one row."""

    id: str
    value: msgspec.Raw
    probabilities: dict[str, float] | None = None


class Answer(msgspec.Struct, frozen=True):
    """The answer to a request."""

    request_id: str
    model: str
    version: int
    role: str
    predictions: list[Row]


_request_decoder = msgspec.json.Decoder(Request)
_numbers_decoder = msgspec.json.Decoder(list[float])
_encode = msgspec.json.encode


class Scorer:
    """Answer requests with what ``holder`` holds."""

    def __init__(self, project: Project, holder: Holder, recorder: Recorder) -> None:
        self._project = project
        self._holder = holder
        self._recorder = recorder
        self._replay = Replay(project)

    def predict(self, model: str, body: bytes) -> bytes:
        """Return the reply to ``body``.

        Raises RefusedError or InvalidInputError for a bad request, NotFoundError for an unknown
        model, BusyError while it is not ready or the log cannot be written.
        """
        started = time.perf_counter_ns()
        request = wire.decode(_request_decoder, body)
        held = self._holder.get(model)
        self._check(request)
        if request.request_id is None:
            return self._answer(held, request, started)
        return self._answer_once(held, request, request.request_id, started)

    def _check(self, request: Request) -> None:
        limit = self._project.settings.server.max_rows
        if not request.rows:
            raise InvalidInputError("'rows' is empty; send at least one row")
        if len(request.rows) > limit:
            raise RefusedError(
                413, f"{len(request.rows)} rows are more than {limit} (server.max_rows)"
            )
        if request.entity_ids is not None and len(request.entity_ids) != len(request.rows):
            raise InvalidInputError(
                f"{len(request.entity_ids)} entity_ids for {len(request.rows)} rows"
            )

    def _answer_once(self, held: Held, request: Request, request_id: str, started: int) -> bytes:
        model_id = held.loaded.model_id
        reply = self._replay.recent(model_id, request_id)
        if reply is not None:
            return reply
        with self._replay.turn(model_id, request_id):
            earlier = self._replay.recorded(model_id, request_id)
            if earlier is not None:
                reply = _render(held.loaded.model, self._labels(held, earlier), earlier)
            else:
                reply = self._answer(held, request, started)
        self._replay.remember(model_id, request_id, reply)
        return reply

    def _answer(self, held: Held, request: Request, started: int) -> bytes:
        loaded = held.loaded
        now = self._project.now()
        columns = encode.columns_of_rows(loaded.schema, request.rows)
        found = loaded.predictor.predict(encode.matrix(loaded.schema, columns))
        probabilities = found.probabilities
        own_id, *ids = new_ids(now, len(request.rows) + 1)
        entry = Entry(
            request_id=request.request_id or own_id,
            model_id=loaded.model_id,
            version_id=loaded.version_id,
            version=loaded.version,
            role=loaded.role,
            served_us=(now - _EPOCH) // _MICROSECOND,
            latency_us=(time.perf_counter_ns() - started) // 1000,
            ids=ids,
            entities=_entities(request.entity_ids),
            features=[_encode(row).decode() for row in zip(*columns, strict=True)],
            values=[_encode(value).decode() for value in found.values],
            probabilities=None
            if probabilities is None
            else [_encode(row).decode() for row in probabilities.tolist()],
        )
        self._recorder.record(entry, now)
        return _render(loaded.model, held.labels, entry)

    def _labels(self, held: Held, entry: Entry) -> Sequence[str]:
        """Return the class names of the version that made ``entry``, which may be an older one."""
        if entry.version_id == held.loaded.version_id:
            return held.labels
        with self._project.read() as s:
            version = s.get_one(ModelVersion, entry.version_id)
            return label_names(msgspec.convert(version.input_schema, InputSchema))


def _render(model: str, labels: Sequence[str], entry: Entry) -> bytes:
    """Return the reply that says what ``entry`` records: the same, whenever it is asked for."""
    if entry.probabilities is None:
        rows = [
            Row(identifier, msgspec.Raw(value.encode()))
            for identifier, value in zip(entry.ids, entry.values, strict=True)
        ]
    else:
        rows = [
            Row(
                identifier,
                msgspec.Raw(value.encode()),
                dict(zip(labels, _numbers_decoder.decode(numbers), strict=True)),
            )
            for identifier, value, numbers in zip(
                entry.ids, entry.values, entry.probabilities, strict=True
            )
        ]
    return _encode(Answer(entry.request_id, model, entry.version, entry.role, rows))


def _entities(ids: Sequence[str | int | None] | None) -> list[str | None] | None:
    if ids is None:
        return None
    return [None if identifier is None else str(identifier) for identifier in ids]
