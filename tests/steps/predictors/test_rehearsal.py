"""The gate asks a version as a client does: from JSON to JSON."""

from typing import Any

import numpy as np
import pytest

from mlkit.steps.inputs.columns import Column, InputSchema
from mlkit.steps.predictors import rehearsal
from mlkit.steps.predictors.artifacts import golden_rows
from mlkit.steps.predictors.predictor import Predictor

COLUMNS: list[list[object]] = [[1.0, 2.0], ["a", None], ["2026-01-01T00:00:00.000000Z", None]]


class _Sum:
    def predict(self, matrix: np.ndarray) -> np.ndarray:
        return np.nansum(matrix, axis=1)


class _Infinite:
    def predict(self, matrix: np.ndarray) -> np.ndarray:
        return np.full(len(matrix), np.nan)


def _predictor(estimator: Any, name: str = "x") -> Predictor:
    columns = (
        Column(name=name, kind="number"),
        Column(name="c", kind="category", nullable=True, categories=("a",)),
        Column(name="t", kind="datetime", nullable=True),
    )
    return Predictor(InputSchema(columns=columns, target="y", task="regression"), estimator)


@pytest.mark.parametrize("name", ["x", '"', "\\", "a\nb", "class", "x" * 100_000])
def test_a_version_that_serving_can_ask_has_no_trouble(name: str) -> None:
    made = _predictor(_Sum(), name)
    assert rehearsal.trouble(made, golden_rows(made, COLUMNS), max_chars=10) == ""


def test_a_text_that_no_request_may_have_is_told_with_row_and_column() -> None:
    made = _predictor(_Sum())
    columns = [COLUMNS[0], ["a", "b" * 11], COLUMNS[2]]
    found = rehearsal.trouble(made, golden_rows(made, columns), max_chars=10)
    assert "row 1, column 'c': a text of 11 characters is longer than 10" in found


def test_an_answer_that_json_does_not_hold_is_told() -> None:
    made = _predictor(_Infinite())
    golden = {"columns": COLUMNS, "values": [0.0, 0.0], "probabilities": None}
    assert rehearsal.trouble(made, golden, max_chars=10)
