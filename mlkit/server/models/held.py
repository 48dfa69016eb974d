"""A loaded model version, with everything that requests need and that is prepared only once."""

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

_LARGE_REQUEST: Final = 200  # rows

log = logging.getLogger("mlkit.server")


class Classes(NamedTuple):
    """The classes of a version as JSON keys and as values; both empty for a regression."""

    labels: tuple[str, ...]
    values: tuple[Label, ...]


class Held:
    """A version that is ready to answer."""

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
        """``guard`` checks rows against rules; ``features`` add the columns of feature views.

        Without ``features``, a text of a row may have at most ``max_chars`` characters.
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
        self._ask_small: Ask = predictor.predict
        self._ask_large: Ask = predictor.predict
        if predictor.batchable and not predictor.compiled:
            self._ask_small = self._ask_large = Batcher(predictor.predict, most_rows=1_000)
        elif predictor.large:
            self._ask_large = Batcher(predictor.predict, most_rows=8_000)

    @property
    def served(self) -> Served:
        """What the metrics say about this version."""
        loaded = self.loaded
        backend = "compiled" if loaded.predictor.compiled else "estimator"
        return Served(loaded.model, loaded.version, self.sha256, backend, self.load_s)

    @property
    def has_probabilities(self) -> bool:
        """Whether answers have class probabilities."""
        return self.loaded.predictor.has_probabilities

    @property
    def _name(self) -> str:
        return f"v{self.loaded.version} of {self.loaded.model}"

    def ask(self, matrix: np.ndarray) -> Predictions:
        """Return the model's answers for the rows of ``matrix``.

        Raises InvalidInputError that names every row without an answer, and ModelFailsError if the
        model itself fails. ``trouble`` then tells that the model fails for any row, until it
        answers again.

        Small requests to a compiled model are not batched: they take less time than waiting for a
        batch. Large ones to a large model are: it reads its trees once for the whole batch (1.6
        times the rows per second, measured).
        """
        ask = self._ask_large if len(matrix) >= _LARGE_REQUEST else self._ask_small
        try:
            found = unanswered.ask(ask, self.schema, matrix)
        except ModelFailsError as error:
            raise self._failing(error) from error
        except InvalidInputError:
            if not self.trouble and unanswered.is_silent(ask, self.schema):
                self.trouble = f"{self._name} has no finite answer, whatever the rows are"
                log.error("%s", self.trouble)
            raise
        if self.trouble:
            self.trouble = ""
        return found

    def _failing(self, error: ModelFailsError) -> ModelFailsError:
        """Return the error for the client; the details are logged, once per failure."""
        trouble = f"{self._name} fails, whatever the rows are: {error}"
        if trouble != self.trouble:
            log.error("%s", trouble, exc_info=error.__cause__)
        self.trouble = trouble
        return ModelFailsError(
            f"{self._name} fails, whatever the rows are: that is no fault of the request; the "
            "server's log says why"
        )


def classes_of(schema: InputSchema) -> Classes:
    """Return the classes of ``schema`` as values and as JSON keys."""
    return Classes(schema.labels, schema.classes)
