"""A loaded version, and everything about it that a request needs and need not make again."""

import logging
from typing import Final, NamedTuple

import numpy as np

from mlkit.errors import InvalidInputError, ModelFailsError
from mlkit.flows.features.requests import RequestFeatures
from mlkit.flows.registry.deploy import Loaded
from mlkit.server.metrics.families import Served
from mlkit.server.models.batching import Ask, Batcher
from mlkit.steps.inputs import unanswered
from mlkit.steps.inputs.answers import Label, Predictions
from mlkit.steps.inputs.columns import InputSchema
from mlkit.steps.inputs.rows import CsvHabits, Reader
from mlkit.steps.rules.guard import Guard

_MANY: Final = 200  # rows

log = logging.getLogger("mlkit.server")


class Classes(NamedTuple):
    """The classes of a version as JSON keys and as values; both empty for a regression."""

    labels: tuple[str, ...]
    values: tuple[Label, ...]


class Held:
    """A version that answers."""

    def __init__(
        self,
        loaded: Loaded,
        *,
        load_s: float,
        size_bytes: int,
        sha256: str,
        guard: Guard | None = None,
        features: RequestFeatures | None = None,
        max_chars: int | None = None,
        csv: CsvHabits | None = None,
    ) -> None:
        """``guard`` looks at rows, ``features`` fill what clients may leave out of them.

        Without ``features``, no text of a row has more than ``max_chars`` characters.
        """
        self.loaded = loaded
        self.guard = guard
        self.features = features
        self.load_s = load_s
        self.size_bytes = size_bytes
        self.sha256 = sha256
        self.schema = loaded.schema
        self.reader = features.reader if features else Reader(loaded.schema, max_chars=max_chars)
        self.reader.csv = csv or CsvHabits()
        self.classes = classes_of(loaded.schema)
        predictor = loaded.predictor
        self.trouble = ""
        self._few: Ask = predictor.predict
        self._many: Ask = predictor.predict
        if predictor.batchable and not predictor.compiled:
            self._few = self._many = Batcher(predictor.predict, most_rows=1_000)
        elif predictor.large:
            self._many = Batcher(predictor.predict, most_rows=8_000)

    @property
    def served(self) -> Served:
        """What the metrics say about this version."""
        loaded = self.loaded
        backend = "compiled" if loaded.predictor.compiled else "estimator"
        return Served(loaded.model, loaded.version, self.sha256, backend, self.load_s)

    @property
    def has_probabilities(self) -> bool:
        """Tell whether an answer comes with the probability of each class."""
        return self.loaded.predictor.has_probabilities

    @property
    def _name(self) -> str:
        return f"v{self.loaded.version} of {self.loaded.model}"

    def ask(self, matrix: np.ndarray) -> Predictions:
        """Return the model's answers for the rows of ``matrix``.

        Raises InvalidInputError that names every row without one, and ModelFailsError if the model
        itself is at fault. ``trouble`` says so, and that ordinary rows get none either, until it
        answers again.
        A few rows cost a compiled model less than it takes to wait for others. For many, a large
        one reads its trees once for all that are waiting (1.6 times the rows a second, measured).
        """
        model = self._many if len(matrix) >= _MANY else self._few
        try:
            found = unanswered.ask(model, self.schema, matrix)
        except ModelFailsError as error:
            raise self._failing(error) from error
        except InvalidInputError:
            if not self.trouble and unanswered.is_silent(model, self.schema):
                self.trouble = f"{self._name} has no finite answer, whatever the rows are"
                log.error("%s", self.trouble)
            raise
        if self.trouble:
            self.trouble = ""
        return found

    def _failing(self, error: ModelFailsError) -> ModelFailsError:
        """Return what a client may know of a model's failure; the log has the rest, once."""
        trouble = f"{self._name} fails, whatever the rows are: {error}"
        if trouble != self.trouble:
            log.error("%s", trouble, exc_info=error.__cause__)
        self.trouble = trouble
        return ModelFailsError(
            f"{self._name} fails, whatever the rows are: that is no fault of the request; the "
            "server's log says why"
        )


def classes_of(schema: InputSchema) -> Classes:
    """Return the classes, and what they are called as JSON keys."""
    return Classes(schema.labels, schema.classes)
