"""What goes on record is what a client has sent."""

import struct
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mlkit.project import Project
from mlkit.server.models.held import Held
from mlkit.server.query import Query
from mlkit.server.scoring import Scorer
from mlkit.steps.inputs.answers import Predictions
from mlkit.steps.inputs.columns import Column, InputSchema

SCHEMA = InputSchema(
    columns=tuple(Column(name=name, kind="number") for name in "ab"), target="y", task="regression"
)


class Careless:
    """A predictor that writes into the matrix it is given."""

    batchable = compiled = large = False

    def predict(self, matrix: np.ndarray) -> Predictions:
        """Answer with the sum of a row, and leave nothing of it."""
        values = matrix.sum(axis=1).tolist()
        matrix[:] = 0
        return Predictions(values, None)


@pytest.mark.parametrize("rows", [[(5.0, -3.0), (7.0, 1.0)], np.array([[5.0, -3.0], [7.0, 1.0]])])
def test_an_estimator_that_writes_into_its_matrix_changes_no_record(
    project: Project, rows: Any
) -> None:
    entries: list[Any] = []
    recorder: Any = SimpleNamespace(record=lambda entry, _now: entries.append(entry))
    meter: Any = None  # nothing is looked up
    loaded: Any = SimpleNamespace(
        schema=SCHEMA, predictor=Careless(), model="m", model_id=1, version_id=1, version=1,
        role="champion",
    )  # fmt: skip
    held = Held(loaded, load_s=0, size_bytes=0, sha256="")
    answers = Scorer(project, recorder, meter).answer(held, Query(rows), time.perf_counter_ns())
    assert answers.values == [2.0, 8.0]
    assert list(struct.iter_unpack("<2d", entries[0].features)) == [(5.0, -3.0), (7.0, 1.0)]
