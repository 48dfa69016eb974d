"""Performance before actuals come: on record, trusted or not, and compared with what came."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

import msgspec
import pandas as pd
import pytest
from sqlalchemy import select, update

from mlkit.errors import DamagedError
from mlkit.flows.alerts import alerting
from mlkit.flows.data import ingest, leftovers
from mlkit.flows.monitoring import estimates, monitor
from mlkit.flows.monitoring.estimates import Estimate
from mlkit.flows.registry import deploy
from mlkit.flows.training import train
from mlkit.project import Project
from mlkit.steps.performance import estimation_file
from mlkit.store.estimates import PerformanceEstimate
from mlkit.store.log_columns import Prediction
from mlkit.store.registry import ModelVersion

Frames = Callable[..., pd.DataFrame]
Answer = Callable[..., None]
Estimated = Callable[..., Estimate]
Copied = Callable[[Path, Path], AbstractContextManager[Project]]


@pytest.fixture(scope="module")
def large_root(tmp_path_factory: pytest.TempPathFactory, training: Callable[..., Path]) -> Path:
    """A project whose model was judged on 2,000 rows: copy, not use."""
    return training(tmp_path_factory.mktemp("large"), rows=10_000, by=None)


@pytest.fixture
def large(large_root: Path, tmp_path: Path, copied: Copied) -> Iterator[Project]:
    """A copy of it."""
    with copied(large_root, tmp_path / "large") as made:
        yield made


@pytest.fixture
def estimated(within: Callable[[Project, str], Project]) -> Estimated:
    """What a standing check says of a window."""

    def look(project: Project, window: str = "7d") -> Estimate:
        found = monitor.check_performance(within(project, window), "churn").estimated
        assert found is not None
        return found

    return look


def on_record(project: Project) -> list[PerformanceEstimate]:
    with project.read() as s:
        return list(s.scalars(select(PerformanceEstimate).order_by(PerformanceEstimate.id)))


def flip(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(churned=frame["churned"].map({"yes": "no", "no": "yes"}))


def later(monkeypatch: pytest.MonkeyPatch, project: Project, days: int) -> None:
    moment = project.now() + timedelta(days=days)
    monkeypatch.setattr(Project, "now", lambda _: moment)


def test_a_loss_is_estimated_without_any_actual(
    large: Project, churn: Frames, answer: Answer
) -> None:
    answer(large, churn(rows=1_000, seed=5), known=0.0)
    checked = monitor.check_performance(large, "churn")
    found = checked.estimated
    assert (checked.verdict, checked.value) == ("insufficient_data", None)
    assert found is not None
    assert (found.metric, found.rows, found.trusted) == ("log_loss", 1_000, True)
    assert found.low < checked.reference < found.high
    assert (found.past_error, found.past_windows) == (None, 0)
    (row,) = on_record(large)
    assert (row.value, row.trusted, row.realised) == (found.value, True, None)
    assert (row.window_start, row.window_end) == (checked.window.start, checked.window.end)


def test_the_estimate_follows_inputs_that_move(
    large: Project, churn: Frames, answer: Answer
) -> None:
    frame = churn(rows=4_000, seed=5)
    surer = frame[(frame["age"] > 60) & frame["active"]]
    answer(large, surer)
    checked = monitor.check_performance(large, "churn")
    assert checked.estimated is not None
    assert checked.value is not None
    unchanged = abs(checked.reference - checked.value)
    assert abs(checked.estimated.value - checked.value) < unchanged / 3


def test_no_request_is_no_estimate(large: Project) -> None:
    assert monitor.check_performance(large, "churn").estimated is None
    assert on_record(large) == []


def test_a_small_holdout_is_not_trusted(
    trained: Project, churn: Frames, answer: Answer, estimated: Estimated
) -> None:
    answer(trained, churn(rows=300, seed=5))
    found = estimated(trained)
    assert (found.way, found.trusted) == ("unchanged", False)
    assert found.reason == ("its holdout of 80 rows is too small to learn from (500 are needed)")


def test_a_version_of_old_says_to_train_again(
    large: Project, churn: Frames, answer: Answer
) -> None:
    with large.write() as s:
        s.execute(update(ModelVersion).values(estimation_sha256=None))
    answer(large, churn(rows=300, seed=5))
    checked = monitor.check_performance(large, "churn")
    assert checked.estimated is not None
    assert checked.estimated.reason == (
        "v1 has learned no estimate: train again (see: mlkit retrain)"
    )
    assert (checked.estimated.value, checked.estimated.trusted) == (checked.reference, False)


def test_answers_without_probabilities_are_not_estimated(
    large: Project, churn: Frames, answer: Answer, estimated: Estimated
) -> None:
    answer(large, churn(rows=300, seed=5))
    with large.write() as s:
        s.execute(update(Prediction).values(probabilities=None))
    found = estimated(large)
    assert (found.trusted, found.reason) == (False, "answers lack their probabilities")


def test_what_it_estimates_with_is_named_by_the_version_and_kept(large: Project) -> None:
    version = deploy.find_version(large, "churn")
    assert version.estimation_sha256 is not None
    known = estimation_file.load(large.references.read(version.estimation_sha256))
    assert (known.metric, known.rows) == ("log_loss", 2_000)
    assert known.loss == pytest.approx(version.metrics["log_loss"])
    assert large.references.path(version.estimation_sha256) not in leftovers.find(large)


def test_time_that_passes_is_no_reason_to_doubt(
    large: Project, churn: Frames, answer: Answer, estimated: Estimated
) -> None:
    """The column since counts hours from January here, and is an input."""
    frame = churn(rows=1_000, seed=5)
    answer(large, frame.assign(since="2036-01-01T00:00:00Z"))
    assert "since:days" not in estimated(large).reason


def test_a_damaged_estimation_is_reported(large: Project, churn: Frames, answer: Answer) -> None:
    answer(large, churn(rows=300, seed=5))
    digest = deploy.find_version(large, "churn").estimation_sha256
    large.references.path(str(digest)).write_bytes(b"damaged")
    with pytest.raises(DamagedError):
        monitor.check_performance(large, "churn")


def test_its_own_past_error_is_shown_once_actuals_have_come(
    large: Project,
    churn: Frames,
    answer: Answer,
    monkeypatch: pytest.MonkeyPatch,
    estimated: Estimated,
) -> None:
    answer(large, churn(rows=1_000, seed=5))
    first = estimated(large, "1d")
    assert first.past_windows == 0
    later(monkeypatch, large, 2)
    answer(large, churn(rows=500, seed=6), known=0.0)
    second = estimated(large, "1d")
    (row, _) = on_record(large)
    assert row.realised is not None
    assert (row.realised_rows, row.realised_at) == (1_000, large.now())
    assert second.past_windows == 1
    assert second.past_error == pytest.approx(abs(first.value - row.realised))
    assert estimated(large, "1d").past_windows == 1


def test_an_estimate_waits_for_enough_actuals_and_not_for_ever(
    large: Project,
    churn: Frames,
    answer: Answer,
    monkeypatch: pytest.MonkeyPatch,
    estimated: Estimated,
) -> None:
    answer(large, churn(rows=1_000, seed=5), known=0.05)
    estimated(large, "1d")
    for days in (2, 20):
        later(monkeypatch, large, days)
        answer(large, churn(rows=300, seed=6), known=0.0)
        assert estimated(large, "1d").past_windows == 0
    assert all(row.realised is None for row in on_record(large))


def test_windows_that_overlap_count_once(
    large: Project,
    churn: Frames,
    answer: Answer,
    monkeypatch: pytest.MonkeyPatch,
    estimated: Estimated,
) -> None:
    answer(large, churn(rows=1_000, seed=5), age=timedelta(hours=6))
    for _ in range(3):
        estimated(large, "1d")
    later(monkeypatch, large, 2)
    answer(large, churn(rows=300, seed=6), known=0.0)
    for _ in range(3):
        found = estimated(large, "1d")
    assert found.past_windows == 1
    assert [row.realised is None for row in on_record(large)[:3]] == [False, True, True]


def test_an_estimate_that_was_often_wrong_is_no_longer_trusted(
    large: Project,
    churn: Frames,
    answer: Answer,
    monkeypatch: pytest.MonkeyPatch,
    estimated: Estimated,
) -> None:
    for number in range(5):
        answer(large, flip(churn(rows=400, seed=number)))
        found = estimated(large, "1d")
        assert found.trusted == (number < 4)
        later(monkeypatch, large, 1)
    assert (found.past_windows, found.trusted) == (4, False)
    assert found.reason == "the truth lay outside its interval in 4 of the last 4 windows"


def harder(frames: Frames) -> pd.DataFrame:
    """Return customers of whom nobody can say whether they will go."""
    frame = frames(rows=12_000, seed=5)
    score = (
        0.05 * (45 - frame["age"]) + 1.2 * (frame["plan"] == "free")
        - 0.02 * frame["spend"] - frame["active"]
    )  # fmt: skip
    return frame[score.abs() < 0.6]


def test_an_expected_rise_opens_an_alert_that_actuals_end(
    large: Project, churn: Frames, answer: Answer
) -> None:
    answer(large, harder(churn), known=0.0)
    checked = monitor.check_performance(large, "churn")
    assert checked.verdict == "insufficient_data"
    (alert,) = alerting.ongoing(large)
    assert (alert.key, alert.kind, alert.severity) == ("estimate:churn", "estimate", "warning")
    assert alert.summary.startswith("churn estimated, no actuals yet: log_loss 0.6")
    answer(large, churn(rows=4_000, seed=6), known=1.0)
    monitor.check_performance(large, "churn")
    assert "estimate:churn" not in [alert.key for alert in alerting.ongoing(large)]


def test_an_estimate_that_is_well_again_ends_the_alert(
    large: Project, churn: Frames, answer: Answer, within: Callable[[Project, str], Project]
) -> None:
    answer(large, harder(churn), age=timedelta(days=3), known=0.0)
    monitor.check_performance(large, "churn")
    answer(large, churn(rows=1_000, seed=6), known=0.0)
    monitor.check_performance(within(large, "1d"), "churn")
    (alert,) = alerting.newest(large, 10)
    assert alert.status == "resolved"
    assert str(alert.resolution).startswith("the estimate is log_loss 0.")


def test_an_estimate_that_nobody_should_believe_says_nothing(
    large: Project, churn: Frames, answer: Answer
) -> None:
    answer(large, harder(churn), known=0.0)
    details = msgspec.to_builtins(monitor.check_performance(large, "churn"))
    assert estimates.said(details) == "high"
    details["estimated"]["trusted"] = False
    assert estimates.said(details) == "insufficient_data"
    assert estimates.said(details | {"verdict": "ok", "coverage": 0.9}) == "ok"  # actuals say it


def test_it_opens_and_ends_by_the_rules_of_all_alerts(
    large: Project, churn: Frames, answer: Answer, within: Callable[[Project, str], Project]
) -> None:
    chosen = msgspec.structs.replace(large.settings.alerts, open_after="2 of 3", resolve_after=2)
    settings = msgspec.structs.replace(large.settings, alerts=chosen)
    patient = Project(large.root, settings, large.database, large.clock_file)

    def ongoing(project: Project) -> bool:
        monitor.check_performance(project, "churn")
        return "estimate:churn" in [alert.key for alert in alerting.ongoing(large)]

    answer(large, harder(churn), age=timedelta(days=3), known=0.0)
    assert [ongoing(patient) for _ in range(2)] == [False, True]
    answer(large, churn(rows=1_000, seed=6), known=0.0)
    assert [ongoing(within(patient, "1d")) for _ in range(2)] == [True, False]


def test_a_promotion_ends_it_too(large: Project, churn: Frames, answer: Answer) -> None:
    answer(large, harder(churn), known=0.0)
    monitor.check_performance(large, "churn")
    train.train(large, "churn", "churn", estimator="dummy")
    deploy.promote(large, "churn", 2, reason="test", force=True)
    assert alerting.ongoing(large) == []


def test_numbers_are_estimated_too(project: Project, churn: Frames, tmp_path: Path) -> None:
    frame = churn(rows=3_000).dropna().drop(columns="churned")
    frame.to_csv(tmp_path / "spend.csv", index=False)
    ingest.add(project, "spend", tmp_path / "spend.csv", target="spend", time="since")
    train.train(project, "spend", "spend", estimator="linear")
    digest = deploy.find_version(project, "spend", 1).estimation_sha256
    known = estimation_file.load(project.references.read(str(digest)))
    assert (known.metric, known.classes, known.calibrated) == ("mae", (), None)
    assert known.tau >= 1


def test_one_window_with_huge_losses_does_not_make_the_past_error() -> None:
    truths = (1.1, 0.8, 33_820.0)
    past = [PerformanceEstimate(value=1.0, realised=truth) for truth in truths]
    assert estimates.past_error(past) == pytest.approx(0.2)
    assert estimates.past_error([]) is None
