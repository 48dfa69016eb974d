"""Watching a champion: its verdicts, its reports and its alerts."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select

from mlkit.errors import ConflictError, DamagedError, InvalidInputError, NotFoundError
from mlkit.flows.alerts import alerting
from mlkit.flows.data import ingest
from mlkit.flows.monitoring import monitor
from mlkit.flows.registry import deploy
from mlkit.flows.training import train
from mlkit.project import Project
from mlkit.settings.table import Drift, ModelSettings
from mlkit.steps.drift import reference
from mlkit.store import registry, reports
from mlkit.store.alerts import AlertDelivery
from mlkit.store.disk import blobs
from mlkit.store.log_columns import Prediction
from mlkit.store.reports import DriftReport

Frames = Callable[..., pd.DataFrame]
Answer = Callable[..., None]


def flip(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(churned=frame["churned"].map({"yes": "no", "no": "yes"}))


def keys(project: Project) -> list[str]:
    return [alert.key for alert in alerting.ongoing(project)]


def test_requests_like_the_training_data_are_ok_and_leave_one_report(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, churn(rows=300, seed=5))
    checked = monitor.check_drift(trained, "churn")
    assert (checked.verdict, checked.version, checked.drifted) == ("ok", 1, ())
    assert (checked.rows.reference, checked.rows.current) == (400, 300)
    assert keys(trained) == []
    with trained.read() as s:
        report = reports.latest_drift(s, registry.get_model(s, "churn"))
    assert report is not None
    assert (report.verdict, report.reference_rows, report.current_rows) == ("ok", 400, 300)
    assert report.summary == checked.summary
    assert report.details == json.loads(msgspec.json.encode(checked))
    assert report.window_end - report.window_start == timedelta(days=1)


def test_older_and_poorer_customers_are_drift_and_open_one_alert(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    frame = churn(rows=300, seed=5)
    answer(trained, frame.assign(age=frame["age"] + 25, spend=np.nan))
    checked = monitor.check_drift(trained, "churn")
    assert checked.verdict == "drift"
    assert {"age", "missing(spend)"} <= set(checked.drifted)
    monitor.check_drift(trained, "churn")
    (alert,) = alerting.ongoing(trained)
    assert (alert.key, alert.kind, alert.model, alert.times_seen) == (
        "drift:churn", "drift", "churn", 2,
    )  # fmt: skip
    assert alert.summary.startswith("churn v1 drift in missing(spend) (0.")
    with trained.read() as s:
        assert len(s.scalars(select(DriftReport)).all()) == 2
        assert len(s.scalars(select(AlertDelivery)).all()) == 1


def test_a_relation_that_changed_and_inputs_that_moved_are_told_apart(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, flip(churn(rows=300, seed=5)), age=timedelta(days=1))
    changed = monitor.check_performance(trained, "churn", window="2d")
    assert changed.verdict == "degraded"
    assert changed.diagnosis == "error grew, inputs quiet: relation changed, retrain"
    assert changed.summary.endswith(changed.diagnosis)
    assert changed.target is not None
    assert changed.target.name == "actual(value)"


def test_missing_values_are_named_before_anything_else(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, churn(rows=300, seed=5).assign(spend=np.nan))
    checked = monitor.check_performance(trained, "churn", window="2d")
    assert "missing values in spend: look upstream" in checked.summary


def test_a_feature_that_is_called_like_an_answer_is_refused(
    project: Project, churn: Frames, tmp_path: Path
) -> None:
    frame = churn(rows=400).rename(columns={"spend": "probability(yes)"})
    frame.to_csv(tmp_path / "churn.csv", index=False)
    ingest.add(project, "churn", tmp_path / "churn.csv", target="churned", time="since")
    with pytest.raises(InvalidInputError, match=r"a column is called 'probability\(yes\)'"):
        train.train(project, "churn", "churn", estimator="dummy")


def test_answers_drift_though_no_input_does(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, churn(rows=300, seed=5))
    with trained.write() as s:
        for row in s.scalars(select(Prediction)):
            row.value, row.probabilities = '"yes"', "[0.05,0.95]"
    checked = monitor.check_drift(trained, "churn")
    assert checked.verdict == "drift"
    assert set(checked.drifted) == {"prediction(value)", "probability(yes)"}


def test_the_joint_test_needs_the_training_rows_and_says_if_they_are_gone(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, churn(rows=300, seed=5))
    checked = monitor.check_drift(trained, "churn", joint=True)
    assert any(text.startswith("joint_skipped: 400 rows of the") for text in checked.warnings)
    version = deploy.find_version(trained, "churn")
    trained.data.path(version.dataset_version.sha256).unlink()
    checked = monitor.check_drift(with_settings(trained, drift=Drift(joint=True)), "churn")
    assert any("is missing; restore a backup" in text for text in checked.warnings)
    assert checked.verdict == "ok"


def test_joint_drift_of_requests_is_found_against_the_training_rows(
    project: Project, churn: Frames, answer: Answer, tmp_path: Path
) -> None:
    frame = churn(rows=2_400, seed=1)
    frame["spend"] = frame["age"] * 2.0 + np.random.default_rng(0).normal(0, 5, 2_400)
    minutes = pd.to_timedelta(np.arange(2_400) * 10, unit="s")
    start = pd.Timestamp("2026-01-01", tz="UTC")
    frame["since"] = (start + minutes).strftime("%Y-%m-%dT%H:%M:%SZ")
    frame.to_csv(tmp_path / "churn.csv", index=False)
    ingest.add(project, "churn", tmp_path / "churn.csv", target="churned", time="since")
    train.train(project, "churn", "churn", estimator="dummy", promote=True)
    turned = frame.head(300).assign(spend=lambda rows: 2.0 * (97 - rows["age"]))
    answer(project, turned, known=0.0)
    plain = monitor.check_drift(project, "churn")
    assert plain.verdict == "ok"
    checked = monitor.check_drift(project, "churn", joint=True)
    assert checked.drifted == ("joint",)
    (found,) = (feature for feature in checked.features if feature.kind == "joint")
    assert {"age", "spend"} <= set(found.examples)


def test_the_more_often_is_checked_the_surer_each_check_has_to_be(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, churn(rows=300, seed=5))
    first = monitor.check_drift(trained, "churn")
    assert (first.budget.checks, first.alpha) == (90.0, pytest.approx(1 / 90))
    later = monitor.check_drift(trained, "churn")
    assert later.budget.checks == 90.0
    with trained.write() as s:  # two a day for a week
        reports_made = s.scalars(select(DriftReport)).all()
        reports_made[0].created_at = trained.now() - timedelta(days=6, hours=23, minutes=59)
    for _ in range(12):
        monitor.check_drift(trained, "churn")
    later = monitor.check_drift(trained, "churn")
    assert later.budget.checks == pytest.approx(14 * 90 / 7, rel=0.01)
    assert later.alpha == pytest.approx(1 / 180, rel=0.01)
    assert later.features[0].visible > first.features[0].visible


def test_training_shows_how_windows_scatter_in_time_order_whatever_the_order_of_the_file(
    project: Project, churn: Frames, tmp_path: Path
) -> None:
    frame = churn(rows=1_200, seed=1)
    frame["spend"] = np.repeat(np.random.default_rng(2).normal(50, 9, size=60), 20)
    frame.sample(frac=1, random_state=0).to_csv(tmp_path / "churn.csv", index=False)
    ingest.add(project, "churn", tmp_path / "churn.csv", target="churned", time="since")
    train.train(project, "churn", "churn", estimator="dummy")
    version = deploy.find_version(project, "churn", 1)
    known = reference.load(project.references.read(version.reference_sha256))
    taus = {profile.name: np.median(profile.taus[0]) for profile in known.columns}
    assert known.sizes
    assert taus["spend"] > 5
    assert taus["age"] < 2


def test_the_alert_ends_when_the_drift_does(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    frame = churn(rows=300, seed=5)
    answer(trained, frame.assign(age=frame["age"] + 25), age=timedelta(days=4))
    week = with_settings(trained, models={"churn": ModelSettings(drift_window="7d")})
    assert monitor.check_drift(week, "churn").verdict == "drift"
    answer(trained, churn(rows=300, seed=6))
    assert monitor.check_drift(trained, "churn", window="1d").verdict == "ok"
    (alert,) = alerting.newest(trained, 10)
    assert (alert.status, alert.resolution) == (
        "resolved", "v1 ok: no drift in 15 tests on 300 rows",
    )  # fmt: skip


def test_too_few_rows_say_nothing_about_an_open_alert(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    frame = churn(rows=300, seed=5)
    answer(trained, frame.assign(age=frame["age"] + 25), age=timedelta(days=4))
    week = with_settings(trained, models={"churn": ModelSettings(drift_window="7d")})
    monitor.check_drift(week, "churn")
    answer(trained, churn(rows=50, seed=6))
    assert monitor.check_drift(trained, "churn").verdict == "insufficient_data"
    assert keys(trained) == ["drift:churn"]


def test_no_traffic_is_insufficient_data(trained: Project) -> None:
    assert monitor.check_drift(trained, "churn").verdict == "insufficient_data"
    checked = monitor.check_performance(trained, "churn")
    assert (checked.verdict, checked.value, checked.coverage) == ("insufficient_data", None, 0.0)


def test_the_window_is_the_models_own_unless_one_is_named(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, churn(rows=300, seed=5), age=timedelta(days=2))
    assert monitor.check_drift(trained, "churn").rows.current == 0
    assert monitor.check_drift(trained, "churn", window="3d").rows.current == 300
    own = {"churn": ModelSettings(drift_window="4d", performance_window="1h")}
    project = with_settings(trained, models=own)
    assert monitor.check_drift(project, "churn").rows.current == 300
    assert monitor.check_performance(project, "churn").rows == 0


def test_the_last_moment_of_the_window_counts(
    trained: Project, churn: Frames, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = trained.now()
    monkeypatch.setattr(Project, "now", lambda _: moment)
    answer(trained, churn(rows=1), age=timedelta(0))
    assert monitor.check_drift(trained, "churn").rows.current == 1


def test_answers_as_good_as_on_the_holdout_are_ok(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, churn(rows=300, seed=5), known=0.5)
    checked = monitor.check_performance(trained, "churn")
    assert (checked.verdict, checked.metric, checked.rows) == ("ok", "log_loss", 150)
    assert checked.coverage == 0.5
    assert checked.value is not None
    assert checked.low is not None
    assert checked.low < checked.value < checked.limit
    with trained.read() as s:
        model = registry.get_model(s, "churn")
        report = reports.latest_performance(s, model)
        assert checked.reference == registry.get_version(s, model, 1).metrics["log_loss"]
    assert report is not None
    assert (report.verdict, report.rows, report.coverage) == ("ok", 150, 0.5)


def test_a_world_turned_round_is_degraded_until_it_turns_back(
    trained: Project, churn: Frames, answer: Answer, within: Callable[[Project, str], Project]
) -> None:
    answer(trained, flip(churn(rows=300, seed=5)), age=timedelta(days=4))
    checked = monitor.check_performance(trained, "churn")
    assert checked.verdict == "degraded"
    assert checked.value is not None
    assert checked.value > checked.limit >= 1.1 * checked.reference
    assert keys(trained) == ["performance:churn"]
    answer(trained, churn(rows=300, seed=6))
    assert monitor.check_performance(trained, "churn", window="1d").verdict == "ok"
    assert keys(trained) == ["performance:churn"]  # one look at another window ends nothing
    assert monitor.check_performance(within(trained, "1d"), "churn").verdict == "ok"
    assert keys(trained) == []


def test_a_model_without_probabilities_is_judged_by_its_error_rate(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, flip(churn(rows=300, seed=5)))
    with trained.write() as s:
        for row in s.scalars(select(Prediction)):
            row.probabilities = None
    checked = monitor.check_performance(trained, "churn")
    assert (checked.verdict, checked.metric) == ("degraded", "error_rate")
    assert 0 < checked.reference < 0.5


def test_only_the_champions_rows_are_judged(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, flip(churn(rows=300, seed=5)))
    with trained.write() as s:
        model = registry.get_model(s, "churn")
        old = registry.get_version(s, model, 1)
        names = [a.key for a in registry.ModelVersion.__mapper__.column_attrs if a.key != "id"]
        copy = registry.ModelVersion(**{name: getattr(old, name) for name in names})
        copy.number = 2
        copy.signature = blobs.sign(trained.key, "churn", 2, copy.artifact_sha256)
        s.add(copy)
    deploy.promote(trained, "churn", 2, reason="test", force=True)
    checked = monitor.check_performance(trained, "churn")
    assert (checked.version, checked.rows, checked.verdict) == (2, 0, "insufficient_data")


def test_a_promotion_ends_the_alerts_about_the_old_champion(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, flip(churn(rows=300, seed=5)))
    monitor.check_performance(trained, "churn")
    assert alerting.resolve_model(trained, "churn", ("drift", "performance"), "v2 took over") == 1
    assert keys(trained) == []


def test_errors_say_what_to_do(trained: Project, project: Project) -> None:
    with pytest.raises(NotFoundError, match="no model named 'nosuch'; known: churn"):
        monitor.check_drift(trained, "nosuch")
    with pytest.raises(InvalidInputError, match="'1 day' is not a duration"):
        monitor.check_performance(trained, "churn", window="1 day")


def test_a_model_without_a_champion_is_not_judged(
    project: Project, register: Callable[..., Any]
) -> None:
    register(project, promote=False)
    with pytest.raises(ConflictError, match="no champion"):
        monitor.check_drift(project, "churn")


def test_a_damaged_reference_is_reported_and_leaves_no_report(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    version = deploy.find_version(trained, "churn")
    trained.references.path(version.reference_sha256).write_bytes(b"damaged")
    with pytest.raises(DamagedError):
        monitor.check_drift(trained, "churn")
    with trained.read() as s:
        assert reports.latest_drift(s, registry.get_model(s, "churn")) is None


def with_settings(project: Project, **changes: Any) -> Project:
    settings = msgspec.structs.replace(project.settings, **changes)
    return Project(project.root, settings, project.database, project.clock_file)
