from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mlkit.errors import InvalidInputError
from mlkit.steps.training import target


def chunked(values: Any) -> Any:
    return pa.chunked_array([pa.array(values)])


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["yes", "no"], "classification"),
        ([True, False], "classification"),
        ([0, 1, 2], "classification"),
        (list(range(50)), "regression"),
        ([0.5, 1.5], "regression"),
        ([0.0, 1.0, 1.0], "classification"),
        ([float(i) for i in range(50)], "regression"),
    ],
)
def test_the_task_is_what_the_target_looks_like(values: Any, task: str) -> None:
    assert target.infer_task(chunked(values), "auto") == task


def test_a_wish_that_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="needs a number"):
        target.infer_task(chunked(["a", "b"]), "regression")
    with pytest.raises(InvalidInputError, match="is a time"):
        target.infer_task(chunked([datetime(2026, 1, 1, tzinfo=UTC)]), "auto")


def test_rows_without_a_target_are_left_out_and_counted() -> None:
    kept = target.keep_labelled(pa.table({"y": [1.0, None, float("nan"), float("inf")]}), "y")
    assert len(kept.table) == 1
    assert kept.warnings == ["missing_target: 3 rows have no 'y' and are left out"]
    with pytest.raises(InvalidInputError, match="no row has a value"):
        target.keep_labelled(pa.table({"y": pa.array([None], pa.float64())}), "y")
    with pytest.raises(InvalidInputError, match="'z' is not a column"):
        target.keep_labelled(pa.table({"y": [1]}), "z")


@pytest.mark.parametrize(
    ("values", "task", "message"),
    [
        (["a"] * 9, "classification", "one value"),
        (["a"] * 9 + ["b"], "classification", r"too few rows of a class of 'y': 'b' \(1\)"),
        ([f"id{i}" for i in range(200)], "classification", "200 classes"),
        (["a", "b" * 50_000] * 9, "classification", "a class whose name has 50,000 characters"),
        ([2.0] * 9, "regression", "one value"),
        ([1e300, 2.0], "regression", "beyond 1e\\+100"),
    ],
)
def test_a_target_that_teaches_nothing_is_refused(values: Any, task: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        target.check(chunked(values), task, "y")


def test_classes_are_coded_by_their_place() -> None:
    codes = target.encode(chunked(["b", "a", "b"]), "classification", ("a", "b"))
    np.testing.assert_array_equal(codes, [1, 0, 1])
