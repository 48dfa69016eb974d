from typing import Any

import msgspec
import numpy as np
import pytest

from mlkit.steps.inputs.columns import Column, InputSchema
from mlkit.steps.performance import metrics
from mlkit.steps.performance.metrics import Interval, Resampling
from mlkit.steps.training import gate

RESAMPLING = Resampling(rounds=500, confidence=0.95, seed=0)


def compared(low: float, high: float, rows: Any = 100) -> Any:
    losses, others = np.full(rows, 9.1), np.full(rows, 9.0)
    return gate.compare("v7", "mae", losses, others, Interval((low + high) / 2, low, high))


@pytest.mark.parametrize(
    ("low", "high", "outcome", "detail"),
    [
        (-0.5, -0.1, "pass", "beats v7: mae 9.1 against 9, difference -0.3 [-0.5, -0.1]"),
        (-0.1, 0.3, "fail", "kept v7: mae 9.1 against 9, interval includes 0"),
        (0.1, 0.3, "fail", "kept v7: mae 9.1 against 9, it is worse"),
    ],
)
def test_only_an_interval_below_zero_beats_the_champion(
    low: float, high: float, outcome: str, detail: str
) -> None:
    check = gate.better(compared(low, high), min_rows=30, champion=True)
    assert (check.outcome, check.detail) == (outcome, detail)


def test_too_few_rows_keep_the_champion() -> None:
    check = gate.better(compared(-2, -1, rows=12), min_rows=30, champion=True)
    assert check.detail == "kept v7: 12 holdout rows are too few to compare, 30 needed"


def test_one_failed_check_refuses_and_gives_the_reason() -> None:
    good = gate.golden(reproduced=True)
    slow = gate.latency(300.0, 250.0)
    verdict = gate.judge([good, slow, good])
    assert not verdict.accepted
    assert verdict.reason == "one row takes 3e+02 ms, 250 ms are allowed"
    assert gate.judge([good]).accepted


def schema(*columns: Any) -> Any:
    return InputSchema(columns=columns, target="y", task="regression")


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        (Column(name="a", kind="number", nullable=True), None),
        (Column(name="a", kind="number"), "column 'a' may not be null any more"),
        (Column(name="a", kind="category", nullable=True), "'a' was integer and is now category"),
        (Column(name="b", kind="integer"), "column 'b' is new"),
    ],
)
def test_a_candidate_must_take_what_clients_of_the_champion_send(column: Any, problem: Any) -> None:
    champion = schema(Column(name="a", kind="integer", nullable=True))
    check = gate.schema(schema(column), champion, "v7")
    assert (check.outcome == "pass") == (problem is None)
    assert (problem or "it fits") in check.detail


def paired(differences: np.ndarray, unanswered: int = 0) -> Any:
    """Return the comparison of a candidate with these differences to losses of 10."""
    others = np.full(len(differences), 10.0)
    interval = metrics.mean_interval(differences, RESAMPLING)
    found = gate.compare("v7", "mae", others + differences, others, interval)
    typical = gate.typical(differences, RESAMPLING)
    return msgspec.structs.replace(found, unanswered=unanswered, typical=typical)


def test_a_few_rows_do_not_promote_what_is_worse_on_all_others() -> None:
    differences = np.random.default_rng(0).normal(1.0, 0.1, size=200)
    differences[::25] = -1e6
    found = paired(differences)
    assert found.high < 0
    check = gate.better(found, min_rows=30, champion=True)
    assert check.outcome == "fail"
    assert "few rows decide that" in check.detail


def test_what_few_rows_decide_and_all_others_agree_with_is_promoted() -> None:
    differences = np.random.default_rng(0).normal(-1.0, 0.1, size=200)
    differences[::25] = -1e6
    assert gate.better(paired(differences), min_rows=30, champion=True).outcome == "pass"


@pytest.mark.parametrize(("shift", "outcome"), [(-1.0, "pass"), (0.0, "pass"), (1.0, "fail")])
def test_a_champion_without_an_answer_to_some_rows_loses_unless_it_is_better_on_the_others(
    shift: float, outcome: str
) -> None:
    differences = np.random.default_rng(0).normal(shift, 1.0, size=100)
    check = gate.better(paired(differences, 3), min_rows=30, champion=True)
    assert check.outcome == outcome
    assert ("no finite answer to 3 of 103 rows" in check.detail) == (outcome == "pass")


def test_a_candidate_without_an_answer_to_any_row_is_refused() -> None:
    assert gate.answers(0, 60).outcome == "pass"
    check = gate.answers(2, 60)
    assert (check.outcome, check.detail) == ("fail", "no finite answer to 2 of 60 holdout rows")
