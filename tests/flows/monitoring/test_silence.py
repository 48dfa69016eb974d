"""That nothing happens is noticed, and ends when it happens again."""

from collections.abc import Callable
from datetime import timedelta

import pandas as pd
import pytest
from sqlalchemy import update

from mlkit.flows.alerts import alerting
from mlkit.flows.monitoring import monitor
from mlkit.project import Project
from mlkit.store.log_columns import Actual

Frames = Callable[..., pd.DataFrame]
Answer = Callable[..., None]


def keys(project: Project) -> list[str]:
    return [alert.key for alert in alerting.ongoing(project)]


def test_a_model_that_was_never_asked_is_no_matter(trained: Project) -> None:
    monitor.check_drift(trained, "churn")
    monitor.check_performance(trained, "churn")
    assert keys(trained) == []


def test_a_model_that_nobody_asks_any_more_is_noticed_until_somebody_does(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, churn(rows=30, seed=5), age=timedelta(days=3))
    for _ in range(2):
        monitor.check_drift(trained, "churn")
    (alert,) = alerting.ongoing(trained)
    assert (alert.key, alert.kind, alert.times_seen) == ("requests:churn", "silence", 2)
    assert "nobody has asked churn since 20" in alert.summary
    answer(trained, churn(rows=30, seed=6))
    monitor.check_drift(trained, "churn")
    assert keys(trained) == []


@pytest.mark.parametrize("came", [True, False])
def test_predictions_without_an_actual_are_noticed_where_actuals_used_to_come(
    *, came: bool, trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, churn(rows=30, seed=5), age=timedelta(days=20), known=float(came))
    with trained.write() as s:
        s.execute(update(Actual).values(received_at=trained.now() - timedelta(days=19)))
    answer(trained, churn(rows=30, seed=6), known=0.0)
    monitor.check_performance(trained, "churn")
    assert keys(trained) == (["actuals:churn"] if came else [])
    if came:
        answer(trained, churn(rows=30, seed=7))
        monitor.check_performance(trained, "churn")
        assert keys(trained) == []


def test_actuals_that_come_late_are_not_missed(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, churn(rows=30, seed=5), age=timedelta(days=20))
    answer(trained, churn(rows=30, seed=6), known=0.0)
    monitor.check_performance(trained, "churn")
    assert keys(trained) == []


def test_a_window_that_somebody_chose_says_nothing(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, churn(rows=30, seed=5), age=timedelta(days=3))
    monitor.check_drift(trained, "churn", window="30m")
    assert keys(trained) == []
