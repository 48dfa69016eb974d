"""A look at when actuals came costs the same however long the log is."""

from collections.abc import Callable
from datetime import timedelta

import pandas as pd

from mlkit.project import Project
from mlkit.store import arrivals, registry


def test_no_more_rows_than_asked_for_are_looked_at_all_over_the_log(
    trained: Project, churn: Callable[..., pd.DataFrame], answer: Callable[..., None]
) -> None:
    answer(trained, churn(rows=600, seed=1), known=0.5)
    now = trained.now()
    with trained.read() as s:
        model_id = registry.get_model(s, "churn").id
        found = arrivals.sample(s, model_id, now - timedelta(days=1), now, places=10, rows=7)
    assert len(found) <= 70
    served = [at for at, _ in found]
    assert served == sorted(served)
    assert (served[-1] - served[0]).total_seconds() > 5_000
    assert 0.1 < sum(came is not None for _, came in found) / len(found) < 1


def test_without_rows_there_is_nothing(trained: Project) -> None:
    now = trained.now()
    with trained.read() as s:
        assert arrivals.sample(s, 1, now - timedelta(days=1), now, places=10, rows=7) == []
