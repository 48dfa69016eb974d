"""Everything that one page shows, and nothing is changed by looking."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import func, select

from mlkit.errors import InvalidInputError, NotFoundError
from mlkit.flows.log import logs
from mlkit.flows.monitoring import monitor, report
from mlkit.flows.registry import deploy
from mlkit.project import Project
from mlkit.store.alerts import Alert
from mlkit.store.registry import Model
from mlkit.store.reports import DriftReport

Frames = Callable[..., pd.DataFrame]


def test_a_model_without_a_version_in_service(project: Project) -> None:
    with project.write() as s:
        s.add(Model(name="new", task="regression", target="y", created_at=project.now()))
    found = report.read(project, "new")
    assert (found.champion, found.spread, found.drift, found.alerts) == (None, None, (), ())
    assert [advice.command for advice in found.verdicts] == ["mlkit model show new"]


def test_a_champion_that_was_asked_nothing(trained: Project) -> None:
    found = report.read(trained, "churn")
    assert found.champion is not None
    assert (found.champion.version, found.champion.reason) == (1, "first")
    assert [advice.verdict for advice in found.verdicts] == ["none", "none"]
    assert found.spread is not None
    assert (found.spread.rows, found.spread.known) == (0, 0)
    columns = {line.column: line for line in found.spread.features}
    assert {"age", "plan", "probability(yes)", "actual(value)"} <= set(columns)
    age = columns["age"].distribution
    assert age is not None
    assert age.current == ()


def test_pictures_and_numbers_are_of_one_window(
    trained: Project, churn: Frames, answer: Callable[..., None]
) -> None:
    frame = churn(rows=300, seed=5)
    answer(trained, frame.assign(age=frame["age"] + 25), known=0.5)
    checked = monitor.check_drift(trained, "churn")
    found = report.read(trained, "churn")
    assert found.spread is not None
    assert (found.spread.window, found.spread.rows, found.spread.known) == (
        checked.window, 300, 150,
    )  # fmt: skip
    worst = found.spread.features[0]
    assert worst.drifted
    assert worst.tests[0].name == checked.drifted[0]
    tests = {test.name: test for line in found.spread.features for test in line.tests}
    assert set(tests) == {feature.name for feature in checked.features}
    for feature in checked.features:
        assert (tests[feature.name].effect, tests[feature.name].drifted) == (
            feature.effect, feature.drifted,
        )  # fmt: skip
    later = report.read(trained, "churn", window="2h")
    assert later.spread is not None
    assert later.spread.rows == 0


def test_looking_changes_nothing(
    trained: Project, churn: Frames, answer: Callable[..., None]
) -> None:
    frame = churn(rows=300, seed=5)
    answer(trained, frame.assign(age=frame["age"] + 25))
    report.read(trained, "churn", window="1d")
    with trained.read() as s:
        counts = [s.scalar(select(func.count()).select_from(t)) for t in (DriftReport, Alert)]
    assert counts == [0, 0]


def test_the_log_is_read_once(
    trained: Project, churn: Frames, answer: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(trained, churn(rows=30, seed=5))
    read, calls = logs.read, []

    def count(*args: Any, **options: Any) -> Any:
        calls.append(args)
        return read(*args, **options)

    monkeypatch.setattr(logs, "read", count)
    report.read(trained, "churn", window="1d")
    assert len(calls) == 1


def test_tests_of_an_earlier_champion_are_not_shown_as_the_present_ones(
    trained: Project, churn: Frames, answer: Callable[..., None]
) -> None:
    from mlkit.flows.training import train

    answer(trained, churn(rows=300, seed=5))
    monitor.check_drift(trained, "churn")
    train.train(trained, "churn", "churn", estimator="dummy")
    deploy.promote(trained, "churn", 2, force=True)
    found = report.read(trained, "churn")
    assert found.verdicts[0].verdict == "none"
    assert [point.version for point in found.drift] == [1]
    assert [served.version for served in found.served] == [1, 2]
    assert found.spread is not None
    assert all(line.tests == () for line in found.spread.features)


def test_alerts_are_those_of_the_model_and_of_90_days(trained: Project) -> None:
    now = trained.now()
    with trained.write() as s:
        for key, model, ended_days_ago in (
            ("old", "churn", 91), ("ended", "churn", 89), ("open", "churn", None),
            ("other", "credit", None),
        ):  # fmt: skip
            ended = None if ended_days_ago is None else now - timedelta(days=ended_days_ago)
            s.add(
                Alert(
                    key=key, kind="drift", severity="warning", model=model, summary=key,
                    details={}, opened_at=now - timedelta(days=200), last_seen_at=now,
                    resolved_at=ended,
                )
            )  # fmt: skip
    assert [alert.key for alert in report.read(trained, "churn").alerts] == ["open", "ended"]


def test_wrong_names_and_windows_are_refused(trained: Project) -> None:
    with pytest.raises(NotFoundError, match="known: churn"):
        report.read(trained, "nosuch")
    with pytest.raises(InvalidInputError, match="'4x' is not a duration"):
        report.read(trained, "churn", window="4x")
