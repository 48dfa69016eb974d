"""What reports have said, as numbers: 1 is the line, and what drifted is above it."""

import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, text

from mlkit.errors import NotFoundError
from mlkit.flows.monitoring import history
from mlkit.project import Project
from mlkit.store import registry, reports
from mlkit.store.registry import ModelVersion
from mlkit.store.reports import DriftReport, PerformanceReport


def _feature(name: str, **changes: Any) -> dict[str, Any]:
    usual = {"effect": 0.2, "threshold": 0.05, "q_value": 0.001, "drifted": True}
    return {"name": name, "column": name, "kind": "number", **usual, **changes}


def _add(project: Project, kind: type[DriftReport | PerformanceReport], *said: Any) -> None:
    """Add a report for each of ``said``, which are verdicts and details, an hour apart."""
    now = project.now()
    with project.write() as s:
        version = s.get_one(ModelVersion, 1)
        own = {"reference_rows": 1, "current_rows": 1} if kind is DriftReport else {
            "rows": 1, "coverage": 1.0
        }  # fmt: skip
        for place, (verdict, details) in enumerate(said):
            at = now + timedelta(hours=place)
            s.add(
                kind(
                    model_id=version.model_id, model_version_id=version.id, window_start=at,
                    window_end=at, verdict=verdict, summary="", details=details, created_at=at,
                    **own,
                )
            )  # fmt: skip


@given(
    effect=st.floats(0, 1), q_value=st.floats(0, 1), alpha=st.floats(1e-9, 0.5),
    threshold=st.floats(1e-6, 0.5),
)  # fmt: skip
def test_a_test_reaches_the_line_if_and_only_if_it_drifted(
    effect: float, q_value: float, alpha: float, threshold: float
) -> None:
    drifted = effect >= threshold and q_value <= alpha
    test = _feature("x", effect=effect, threshold=threshold, q_value=q_value, drifted=drifted)
    level = history.level(test, alpha)
    assert level is not None
    assert (level >= 1) == drifted
    assert level >= 0


def test_a_large_effect_that_may_be_chance_stays_below_the_line() -> None:
    sure = _feature("x", effect=0.4)
    unsure = _feature("x", effect=0.4, q_value=0.3, drifted=False)
    assert history.level(sure, 0.05) == pytest.approx(8)
    assert history.level(unsure, 0.05) == pytest.approx(math.log(0.3) / math.log(0.05))


@pytest.mark.parametrize("lost", [{"drifted": None}, {"effect": None}, {"effect": math.nan}])
def test_what_was_not_judged_has_no_level(lost: dict[str, Any]) -> None:
    assert history.level(_feature("x", **lost), 0.05) is None


def test_the_highest_of_each_report_and_the_past_of_each_test(furnished: Project) -> None:
    first = {"alpha": 0.05, "rows": {"current": 9}, "features": [_feature("a", effect=0.3)]}
    second = {"alpha": 0.05, "features": [
        _feature("a", effect=0.01, drifted=False), _feature("b"), _feature("c", drifted=None),
    ]}  # fmt: skip
    _add(furnished, DriftReport, ("drift", first), ("drift", second), ("insufficient_data", {}))
    found = history.of_drift(furnished, "churn", last=3)
    assert [(p.feature, p.verdict, p.rows) for p in found.points] == [
        ("a", "drift", 9), ("b", "drift", None), (None, "insufficient_data", None),
    ]  # fmt: skip
    assert [p.level for p in found.points] == [pytest.approx(6), pytest.approx(4), None]
    assert found.features == {}
    assert [p.version for p in found.points] == [1, 1, 1]


def test_reports_of_an_older_release_are_read(furnished: Project) -> None:
    """They call the minimum detectable effect ``visible``; newer ones have both keys."""
    old = _feature("x", visible=0.1)
    new = {**old, "minimum_detectable": 0.1}
    _add(furnished, DriftReport, *[("drift", {"features": [each]}) for each in (old, new)])
    first, second = history.of_drift(furnished, "churn").points[-2:]
    assert (first.feature, first.level) == (second.feature, second.level) == ("x", 4.0)


def test_the_past_is_that_of_the_tests_of_the_last_report(furnished: Project) -> None:
    said = [("drift", {"features": [_feature(name)]}) for name in ("gone", "a", "a")]
    _add(furnished, DriftReport, *said)
    found = history.of_drift(furnished, "churn", last=12)
    assert found.features == {"a": (None, pytest.approx(4), pytest.approx(4))}


def test_a_loss_is_told_beside_its_limit_and_its_estimate(furnished: Project) -> None:
    plain = {"metric": "mae", "value": 3.0, "low": 2.0, "high": 4.0, "reference": 1.5,
             "limit": 2.0, "rows": 7, "coverage": 0.5}  # fmt: skip
    estimated = {"value": 2.5, "low": math.nan, "high": 9, "trusted": False, "reason": "bad fit"}
    _add(
        furnished, PerformanceReport,
        ("degraded", plain), ("insufficient_data", {"estimated": estimated, "value": None}),
    )  # fmt: skip
    first, second = history.of_performance(furnished, "churn")
    assert (first.level, first.coverage, first.estimated) == (1.5, 0.5, None)
    assert (second.level, second.metric) == (None, "loss")
    assert second.estimated is not None
    assert (second.estimated.value, second.estimated.low, second.estimated.high) == (2.5, None, 9)
    assert (second.estimated.trusted, second.estimated.reason) == (False, "bad fit")


def test_thousands_of_reports_cost_what_the_last_few_do(furnished: Project) -> None:
    details = {"features": [_feature("a")]}
    _add(furnished, DriftReport, *[("ok", details)] * 3000)
    with furnished.read() as s:
        model = registry.get_model(s, "churn")
        loaded: list[Any] = []
        event.listen(s, "loaded_as_persistent", lambda _, row: loaded.append(row))
        found = reports.newest(s, DriftReport, model, 5)
        plan = " ".join(
            str(row)
            for row in s.execute(
                text(
                    "EXPLAIN QUERY PLAN SELECT id FROM drift_report WHERE model_id = 1 "
                    "ORDER BY id DESC LIMIT 5"
                )
            )
        )
    assert found[-1].at - found[0].at == timedelta(hours=4)
    assert loaded == []  # neither whole reports nor versions, which are large
    assert "COVERING INDEX" in plan


def test_a_model_that_is_not_there_is_named(furnished: Project) -> None:
    with pytest.raises(NotFoundError, match="known: churn"):
        history.of_drift(furnished, "nosuch")
