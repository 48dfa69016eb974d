"""A month tells what was done and why, each once."""

from collections.abc import Callable
from typing import Any

import pytest

from mlkit.demo.story import Month, Raised, name_drift

DRIFT = Raised("drift", "v4 drift in temp (0.71)")
DEGRADED = Raised("performance", "v4 degraded: mae 11 on 2684 rows")


@pytest.mark.parametrize(
    ("changes", "outcome", "short"),
    [
        (
            {"action": "none", "alerts": (), "reason": "no alert"},
            "no alert, v2 stays",
            "no alert, v2 stays",
        ),
        (
            {"alerts": (DRIFT, DEGRADED)},
            "drift and performance alert, retrained, promoted v2: beats v1: mae 8.86 against 11.9, "
            "difference -3.1 [-3.8, -2.3]",
            "drift, performance: retrained, promoted v2",
        ),
        (
            {"action": "kept", "alerts": (DRIFT,), "reason": "mae 7.53 against 6.5, it is worse"},
            "drift alert, retrained, kept v2: mae 7.53 against 6.5, it is worse",
            "drift: retrained, kept v2: the candidate is worse",
        ),
        (
            {"action": "kept", "reason": "mae 7.9 against 7.9, interval includes 0"},
            "drift alert, retrained, kept v2: mae 7.9 against 7.9, interval includes 0",
            "drift: retrained, kept v2: the candidate is not clearly better",
        ),
        (
            {"action": "kept", "reason": "one row takes 300 ms, 250 ms are allowed"},
            "drift alert, retrained, kept v2: one row takes 300 ms, 250 ms are allowed",
            "drift: retrained, kept v2: one row takes 300 ms, 250 ms are allowed",
        ),
    ],
)
def test_a_month_says_what_the_loop_did_and_why(
    month: Callable[..., Month], changes: dict[str, Any], outcome: str, short: str
) -> None:
    told = month(**changes)
    assert (told.outcome, told.short_outcome) == (outcome, short)


def test_a_month_has_the_name_that_people_use(month: Callable[..., Month]) -> None:
    assert [month(number).name for number in (2, 12)] == ["February", "December"]


@pytest.mark.parametrize(
    ("inputs", "error", "more", "name"),
    [
        ("ok", "ok", {}, "nothing"),
        ("drift", "ok", {}, "input drift"),
        ("drift", "insufficient_data", {}, "input drift"),
        ("ok", "degraded", {}, "concept drift"),
        ("drift", "degraded", {}, "input drift, error grew"),
        ("ok", "degraded", {"unclear": True}, "error grew, inputs unclear"),
        ("insufficient_data", "degraded", {}, "error grew, inputs unclear"),
        ("ok", "degraded", {"base_moved": True}, "base rate moved, error grew"),
        ("insufficient_data", "ok", {}, "nothing"),
        ("insufficient_data", "insufficient_data", {}, "too few rows"),
    ],
)
def test_the_kinds_of_drift_are_told_apart(
    inputs: str, error: str, more: dict[str, bool], name: str
) -> None:
    assert name_drift(inputs, error, **more) == name


def test_a_month_names_a_few_of_the_features_that_moved(month: Callable[..., Month]) -> None:
    assert month(drift="nothing", drifted=()).moved == "nothing"
    assert month(drifted=("a", "b")).moved == "input drift: a, b"
    assert month(drifted=tuple("abcde")).moved == "input drift: a, b, c and 2 more"
