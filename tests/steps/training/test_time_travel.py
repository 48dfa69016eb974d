"""Features that are stamped after the row."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from mlkit.steps.tables import dtypes
from mlkit.steps.training import time_travel

DAY = datetime(2026, 1, 1, tzinfo=UTC)


def _find(offsets: list[float | None], views: Any = None, time: str | None = "at") -> list[str]:
    at = [DAY + timedelta(days=place) for place in range(len(offsets))]
    paid = [None if o is None else a + timedelta(days=o) for a, o in zip(at, offsets, strict=True)]
    table = pa.table({"at": pa.array(at, dtypes.DATETIME), "paid": pa.array(paid, dtypes.DATETIME)})
    return time_travel.find(table, time=time, features=["paid"], views=views or {})


def test_the_rows_that_are_late_are_shown_with_both_times() -> None:
    (found,) = _find([-1, 2, None, 0, 3])
    assert found == (
        "time_travel: 'paid' is later than 'at' in 2 of 5 rows (row 2: 2026-01-04 00:00:00 after "
        "2026-01-02 00:00:00, row 5: 2026-01-08 00:00:00 after 2026-01-05 00:00:00); is it known "
        "before the prediction is needed"
    )


def test_a_column_of_a_feature_view_names_the_view() -> None:
    (found,) = _find([1], views={"paid": "billing@2"})
    assert "'paid' of the feature view billing@2 is later" in found


def test_what_was_known_before_is_no_travel() -> None:
    assert _find([-1, 0, None]) == []
    assert _find([5, 5], time=None) == []
