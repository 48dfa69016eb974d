"""Actuals that come late, parts that fail, and what happened, told apart on a real project."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select

from mlkit.flows.alerts import alerting
from mlkit.flows.log import logs, maturity
from mlkit.flows.log.retention import seal
from mlkit.flows.monitoring import monitor
from mlkit.flows.monitoring.performance_watch import PerformanceChecked
from mlkit.project import Project
from mlkit.store import registry
from mlkit.store.log_columns import Actual, Prediction

Frames = Callable[..., pd.DataFrame]
Answer = Callable[..., None]
Copied = Callable[[Path, Path], AbstractContextManager[Project]]
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def large_root(tmp_path_factory: pytest.TempPathFactory, training: Callable[..., Path]) -> Path:
    """A project whose model has learned from 4,000 rows: copy, not use."""
    return training(tmp_path_factory.mktemp("large"), rows=4_000)


@pytest.fixture
def large(large_root: Path, tmp_path: Path, copied: Copied) -> Iterator[Project]:
    """A project whose model ``churn`` is a good one, with a holdout of 800 rows."""
    with copied(large_root, tmp_path / "large") as made:
        yield made


def keys(project: Project) -> list[str]:
    return [alert.key for alert in alerting.ongoing(project)]


def flipped(labels: pd.Series) -> pd.Series:
    return labels.map({"yes": "no", "no": "yes"})


def spread(
    project: Project,
    days: float,
    takes: Callable[[int, str], timedelta | None],
) -> None:
    """Let the log reach ``days`` back, and actuals take as long as ``takes(row, actual)`` says.

    None never comes; what has not come by now is taken away.
    """
    now = project.now()
    with project.write() as s:
        rows = s.scalars(select(Prediction).order_by(Prediction.seq)).all()
        for place, row in enumerate(rows):
            row.served_at = now - timedelta(days=days * (1 - place / len(rows)))
            actual = s.get_one(Actual, row.id)
            delay = takes(place, actual.value)
            if delay is None or row.served_at + delay > now:
                s.delete(actual)
            else:
                actual.received_at = actual.observed_at = row.served_at + delay


def late_stays(_place: int, actual: str) -> timedelta:
    """A churn is known at once, a stay only after 30 days."""
    return timedelta(minutes=1) if actual == '"yes"' else 30 * DAY


def test_rows_whose_late_outcomes_are_still_to_come_are_not_judged(
    large: Project, churn: Frames, answer: Answer
) -> None:
    answer(large, churn(rows=3_000, seed=5))
    spread(large, 60, late_stays)
    naive = monitor.check_performance(with_maturity(large, 0.0), "churn", window="60d")
    assert naive.rows > 1_700  # the churns of the last 30 days, too
    checked = monitor.check_performance(large, "churn", window="60d")
    assert checked.verdict == "ok"
    assert checked.rows == pytest.approx(1_500, abs=80)
    assert checked.judged_until is not None
    assert (large.now() - checked.judged_until) / DAY == pytest.approx(30, abs=2)
    assert checked.maturity is not None
    assert checked.maturity < 0.8
    assert checked.delay.p90_s == pytest.approx(30 * 86_400, rel=0.01)
    assert checked.delay.ever == pytest.approx(1.0, abs=0.02)
    assert checked.target is not None
    assert not checked.target.drifted


def test_a_window_without_a_ripe_row_says_which_window_has_some(
    large: Project, churn: Frames, answer: Answer, trained_cli: Any
) -> None:
    answer(large, churn(rows=3_000, seed=5))
    spread(large, 60, late_stays)
    checked = monitor.check_performance(large, "churn")
    assert (checked.verdict, checked.value, checked.rows) == ("insufficient_data", None, 0)
    assert checked.coverage == pytest.approx(0.3, abs=0.15)
    assert (
        "actuals take 30 days (90 % by then) and belong to older predictions; look at a window of "
        "37d (mlkit perf check churn --window 37d)" in checked.summary
    )
    assert keys(large) == []
    shown = trained_cli.of(large.root)("perf", "check", "churn", "--window", "60d").stdout
    assert "half of them take 30 days, 90% 30 days" in shown
    assert "later rows are still coming" in shown


def test_sealed_rows_teach_how_long_actuals_take(
    large: Project, churn: Frames, answer: Answer
) -> None:
    answer(large, churn(rows=3_000, seed=5))
    spread(large, 90, lambda _place, _actual: 45 * DAY)
    seal(large)
    with large.read() as s:
        model_id = registry.get_model(s, "churn").id
    curve = maturity.learn(large, model_id, large.now())
    assert curve is not None
    assert curve.settled
    assert curve.quantile(0.5) == pytest.approx(45 * 86_400, rel=0.02)


def test_actuals_that_come_at_once_are_not_waited_for(
    large: Project, churn: Frames, answer: Answer
) -> None:
    answer(large, churn(rows=1_000, seed=5))
    spread(large, 6, lambda place, _actual: timedelta(seconds=5) if place % 2 else None)
    checked = monitor.check_performance(large, "churn")
    assert (checked.verdict, checked.rows, checked.judged_until) == ("ok", 500, None)
    assert checked.maturity == pytest.approx(1.0, abs=0.01)
    assert checked.delay.ever == pytest.approx(0.5, abs=0.02)


def test_a_file_that_comes_every_night_is_judged_up_to_what_it_brought(
    large: Project, churn: Frames, answer: Answer
) -> None:
    answer(large, churn(rows=2_000, seed=5))
    spread(large, 20, lambda place, _actual: timedelta(days=1 - (place / 100 + 0.3) % 1))
    checked = monitor.check_performance(large, "churn")
    with_actual = logs.read(large, "churn", start=checked.window.start, actuals="required")
    assert checked.rows == pytest.approx(with_actual.num_rows, abs=25)


def test_the_usual_metrics_stand_beside_the_one_that_decides(
    large: Project, churn: Frames, answer: Answer, trained_cli: Any
) -> None:
    answer(large, churn(rows=600, seed=5))
    checked = monitor.check_performance(large, "churn")
    assert set(checked.metrics) == {"log_loss", "accuracy", "roc_auc", "brier"}
    assert checked.metrics["log_loss"] == pytest.approx(checked.value)
    for name, (low, high) in checked.intervals.items():
        assert low <= checked.metrics[name] <= high
    shown = trained_cli.of(large.root)("perf", "check", "churn").stdout
    assert f"roc_auc {checked.metrics['roc_auc']:.4g} [" in shown


def test_labels_that_the_model_does_not_know_are_named_and_not_measured(
    large: Project, churn: Frames, answer: Answer
) -> None:
    frame = churn(rows=600, seed=5)
    frame.loc[::60, "churned"] = "yess"
    answer(large, frame)
    checked = monitor.check_performance(large, "churn")
    assert (checked.verdict, checked.rows, checked.coverage) == ("ok", 590, 1.0)
    assert checked.warnings == (
        "unknown_labels: 10 actuals have a label that the model does not know ('yess' 10)",
    )
    assert checked.summary.endswith(checked.warnings[0])


def check(project: Project, answer: Answer, frame: pd.DataFrame) -> PerformanceChecked:
    answer(project, frame.reset_index(drop=True))
    return monitor.check_performance(project, "churn")


def test_a_relation_that_changed_under_quiet_inputs_is_caught_by_the_first_check(
    large: Project, churn: Frames, answer: Answer
) -> None:
    frame = churn(rows=1_000, seed=5)
    turned = np.random.default_rng(0).random(len(frame)) < 0.3
    frame.loc[turned, "churned"] = flipped(frame["churned"][turned])
    checked = check(large, answer, frame)
    assert checked.verdict == "degraded"
    assert checked.diagnosis == "error grew, inputs quiet: relation changed, retrain"
    assert monitor.check_drift(large, "churn").verdict == "ok"
    assert keys(large) == ["performance:churn"]


def test_it_is_said_since_when_the_relation_is_another(
    large: Project, churn: Frames, answer: Answer
) -> None:
    frame = churn(rows=1_000, seed=5)
    frame.loc[500:, "churned"] = flipped(frame["churned"][500:])
    checked = check(large, answer, frame)
    assert checked.verdict == "degraded"
    assert checked.diagnosis.startswith("error grew since ")
    moment = pd.Timestamp(
        "T".join(reversed(checked.diagnosis.split("since ")[1][:19].strip(")").split(" ("))),
        tz="UTC",
    )
    assert abs(moment - (large.now() - timedelta(hours=12) + timedelta(seconds=5_000))) < (
        timedelta(minutes=15)
    )


def test_a_base_rate_that_moved_is_told_from_a_relation_that_changed(
    large: Project, churn: Frames, answer: Answer
) -> None:
    frame = churn(rows=9_000, seed=5)
    yes = frame[frame["churned"] == "yes"]
    no = frame[frame["churned"] == "no"]
    mixed = pd.concat([yes[:150], no[:1_350]]).sample(frac=1, random_state=0)
    checked = check(large, answer, mixed)
    assert "base rate moved (yes " in checked.diagnosis
    assert " to 10%)" in checked.diagnosis
    assert "recalibrate threshold" in checked.diagnosis


def test_inputs_that_moved_while_the_error_did_not_are_watched(
    large: Project, churn: Frames, answer: Answer
) -> None:
    frame = churn(rows=4_000, seed=5)
    other = frame[(frame["age"] > 30) & (frame["age"] < 60)]
    checked = check(large, answer, other[:1_500])
    assert checked.verdict == "ok"
    assert checked.diagnosis.startswith("inputs moved (age")
    assert checked.diagnosis.endswith("error did not: watch")


def test_missing_values_are_named_with_the_time_since_when(
    large: Project, churn: Frames, answer: Answer
) -> None:
    frame = churn(rows=1_000, seed=5)
    frame.loc[600:, "spend"] = np.nan
    checked = check(large, answer, frame)
    moment = large.now() - timedelta(hours=12) + timedelta(seconds=6_000)
    told = {f"{moment - timedelta(minutes=m):%H:%MZ (%F)}" for m in (0, 1, 2)}
    assert any(f"missing values in spend since {text}: look upstream" in checked.diagnosis
               for text in told), checked.diagnosis  # fmt: skip


def test_a_part_that_fails_while_the_whole_looks_fine_is_named_and_an_alert_of_its_own(
    large: Project,
    churn: Frames,
    answer: Answer,
    trained_cli: Any,
    within: Callable[[Project, str], Project],
) -> None:
    frame = churn(rows=3_000, seed=5)
    part = (frame["plan"] == "pro") & (np.random.default_rng(0).random(len(frame)) < 0.35)
    frame.loc[part, "churned"] = flipped(frame["churned"][part])
    answer(large, frame)
    cli = trained_cli.of(large.root)
    found = cli.json("perf", "check", "churn", code=3)
    assert found["verdict"] == "ok"
    assert [part["name"] for part in found["slices"]] == ["plan = pro"]
    (worst,) = found["slices"]
    assert worst["value"] > worst["limit"] > 1.1 * worst["reference"]
    assert "ok overall, but plan = pro: log_loss " in found["summary"]
    assert "plan = pro" in cli("perf", "check", "churn", code=3).stdout
    (alert,) = alerting.ongoing(large)
    assert (alert.key, alert.kind, alert.severity, alert.times_seen) == (
        "slice:churn", "performance", "warning", 2,
    )  # fmt: skip
    answer(large, churn(rows=3_000, seed=6), age=timedelta(hours=9))
    monitor.check_performance(within(large, "8h"), "churn")
    assert keys(large) == []


def test_when_the_whole_fails_as_well_there_is_one_alert(
    large: Project, churn: Frames, answer: Answer
) -> None:
    alerting.raise_alert(
        large, key="slice:churn", kind="performance", severity="warning", model="churn",
        summary="a part", details={},
    )  # fmt: skip
    monitor.check_performance(large, "churn")
    assert keys(large) == ["slice:churn"]
    frame = churn(rows=1_000, seed=5)
    assert check(large, answer, frame.assign(churned=flipped(frame["churned"]))).slices
    assert keys(large) == ["performance:churn"]


def test_a_version_of_old_is_judged_without_its_parts(
    large: Project, churn: Frames, answer: Answer
) -> None:
    with large.write() as s:
        registry.get_version(s, registry.get_model(s, "churn"), 1).slices = None
    frame = churn(rows=1_000, seed=5)
    assert check(large, answer, frame).slices == ()
    turned = check(large, answer, frame.assign(churned=flipped(frame["churned"])))
    assert (turned.verdict, turned.slices) == ("degraded", ())


def with_maturity(project: Project, least: float) -> Project:
    import msgspec

    chosen = msgspec.structs.replace(project.settings.performance, min_maturity=least)
    settings = msgspec.structs.replace(project.settings, performance=chosen)
    return Project(project.root, settings, project.database, project.clock_file)
