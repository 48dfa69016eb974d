"""What one check may take of the false alarms that are allowed."""

from datetime import timedelta

import pytest

from mlkit.steps.drift import budget

DAY = timedelta(days=1)


def test_daily_checks_share_the_budget() -> None:
    found = budget.share(90 * DAY, window=DAY, seen=7, span=7 * DAY, most=0.05)
    assert found.alpha == pytest.approx(1 / 90)
    assert "one false alarm in 90 days; 90 checks" in found.in_words


def test_whoever_looks_every_hour_must_be_surer_each_time() -> None:
    found = budget.share(90 * DAY, window=DAY, seen=7 * 24, span=7 * DAY, most=0.05)
    assert found.checks == pytest.approx(2160)
    assert found.alpha * found.checks == pytest.approx(1)


def test_no_check_takes_more_than_the_most() -> None:
    found = budget.share(2 * DAY, window=7 * DAY, seen=0, span=7 * DAY, most=0.05)
    assert (found.checks, found.alpha) == (1.0, 0.05)
