"""A stretch of the log, read column by column, is the log."""

from collections.abc import Callable
from datetime import timedelta
from itertools import chain
from typing import Any

import pandas as pd
import pytest

from mlkit.errors import DamagedError
from mlkit.flows.log import actuals, evidence, logs
from mlkit.flows.log.actuals import ActualItem
from mlkit.flows.log.evidence import Window
from mlkit.flows.registry import deploy
from mlkit.project import Project

Churn = Callable[..., pd.DataFrame]
Answer = Callable[..., None]


@pytest.fixture
def half_sealed(trained: Project, churn: Churn, answer: Answer) -> Project:
    """Rows of two days ago in segments, rows of today in the database."""
    answer(trained, churn(120, seed=1), age=timedelta(days=2), known=0.0)
    logs.seal(trained, older_than="1d")
    answer(trained, churn(80, seed=2), age=timedelta(hours=3), known=0.0)
    return trained


def test_its_columns_are_those_of_the_log(half_sealed: Project) -> None:
    whole = logs.read(half_sealed, "churn")
    found = logs.window(half_sealed, "churn")
    assert found.num_rows == whole.num_rows == 200
    for name in whole.column_names:
        if name not in ("_actual", "_observed_at"):
            assert found.column(name).to_pylist() == whole[name].to_pylist(), name
    parts = [part["age"].to_pylist() for part in found.parts(("_value", "age"))]
    assert list(chain.from_iterable(parts)) == whole["age"].to_pylist()
    times = whole["_served_at"].to_pylist()
    assert times == sorted(times)  # though sequence numbers start again when all rows are sealed


def test_only_the_rows_that_are_asked_for_are_in_it(half_sealed: Project) -> None:
    times = logs.read(half_sealed, "churn")["_served_at"].to_pylist()
    start, end = times[30], times[150]
    found = logs.window(half_sealed, "churn", start=start, end=end, version=1)
    assert found.column("_served_at").to_pylist() == times[30:150]
    late = logs.window(half_sealed, "churn", start=times[120])
    assert (
        late.column("age").to_pylist()
        == logs.read(half_sealed, "churn", start=times[120])["age"].to_pylist()
    )


def test_a_segment_with_other_bytes_is_refused(half_sealed: Project) -> None:
    (file,) = half_sealed.log_dir.glob("churn/*/*.parquet")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(DamagedError, match="does not have the bytes"):
        logs.window(half_sealed, "churn")
    file.unlink()
    with pytest.raises(DamagedError, match="is missing"):
        logs.window(half_sealed, "churn")


def test_the_answers_are_further_columns(half_sealed: Project) -> None:
    version = deploy.find_version(half_sealed, "churn")
    now = half_sealed.now()
    asked = evidence.asked(half_sealed, version, Window(start=now - timedelta(days=3), end=now))
    whole = logs.read(half_sealed, "churn")
    second = [row[1] for row in whole["_probabilities"].to_pylist()]
    assert asked.num_rows == 200
    assert asked.column("prediction(value)").to_pylist() == whole["_value"].to_pylist()
    assert asked.column("probability(yes)").to_pylist() == second


def test_actuals_that_come_after_the_sealing_are_read_with_their_rows(
    half_sealed: Project,
) -> None:
    ids: list[Any] = logs.read(half_sealed, "churn")["_id"].to_pylist()
    told = {ids[0]: "yes", ids[119]: "no", ids[120]: "yes"}
    actuals.add(half_sealed, [ActualItem(*pair) for pair in told.items()])
    table = logs.read(half_sealed, "churn", actuals="required")
    assert dict(zip(table["_id"].to_pylist(), table["_actual"].to_pylist(), strict=True)) == told
    assert table["_observed_at"].null_count == 0
