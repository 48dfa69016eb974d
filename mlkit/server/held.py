"""A loaded version, and everything about it that a request needs and need not make again."""

from typing import NamedTuple

import msgspec
import numpy as np

from mlkit.flows.deploy import Loaded
from mlkit.server.batching import Ask, Batcher
from mlkit.steps.answers import Label, Predictions
from mlkit.steps.columns import InputSchema
from mlkit.steps.rows import Reader


class Classes(NamedTuple):
    """The classes of a version as JSON keys and as values; both empty for a regression."""

    labels: tuple[str, ...]
    values: tuple[Label, ...]


class Held:
    """A version that answers."""

    def __init__(self, loaded: Loaded, *, load_s: float, size_bytes: int, sha256: str) -> None:
        self.loaded = loaded
        self.load_s = load_s
        self.size_bytes = size_bytes
        self.sha256 = sha256
        self.schema = loaded.schema
        self.reader = Reader(loaded.schema)
        self.classes = classes_of(loaded.schema)
        self._ask: Ask = loaded.predictor.predict
        if loaded.predictor.batchable and not loaded.predictor.compiled:
            self._ask = Batcher(loaded.predictor.predict)

    def ask(self, matrix: np.ndarray) -> Predictions:
        """Return the model's answers for the rows of ``matrix``."""
        return self._ask(matrix)


def classes_of(schema: InputSchema) -> Classes:
    """Return the classes; as JSON keys text stays as it is, anything else is as JSON writes it."""
    labels = tuple(
        label if isinstance(label, str) else msgspec.json.encode(label).decode()
        for label in schema.classes
    )
    return Classes(labels, schema.classes)
