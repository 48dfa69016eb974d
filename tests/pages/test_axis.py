"""The numbers beside an axis are round and few, and reach the top."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlkit.pages import axis


@given(top=st.floats(0, 1e300), most=st.integers(1, 20))
def test_ticks_are_few_and_even_and_reach_the_top(top: float, most: int) -> None:
    marks = axis.ticks(top, most=most)
    assert marks[0] == 0
    assert marks[-1] >= top
    assert 2 <= len(marks) <= most + 1
    assert marks[1:] == pytest.approx([place * marks[1] for place in range(1, len(marks))])


@given(top=st.floats(1e-200, 1e200), most=st.integers(2, 20))
def test_no_tick_is_wasted_above_the_top(top: float, most: int) -> None:
    marks = axis.ticks(top, most=most)
    assert len(marks) == 2 or marks[-2] < top
    assert f"{marks[1]:.0e}"[0] in "125"


def test_an_axis_for_nothing_but_zeros_has_two_ends() -> None:
    assert axis.ticks(0.0, most=5) == [0.0, 1.0]


@given(low=st.floats(-1e6, 1e6), span=st.floats(1e-3, 1e6), most=st.integers(2, 10))
def test_ticks_reach_from_below_to_above(low: float, span: float, most: int) -> None:
    marks = axis.ticks(low + span, low=low, most=most)
    step = marks[1] - marks[0]
    assert marks[0] <= low + 1e-9 * step
    assert marks[-1] >= low + span - 1e-9 * step
    assert len(marks) <= most + 2


@given(
    start=st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)),  # noqa: DTZ001  # made aware below
    seconds=st.integers(1, 10**9),
    most=st.integers(2, 12),
)
def test_round_times_are_few_distinct_and_inside(start: datetime, seconds: int, most: int) -> None:
    first = start.replace(tzinfo=UTC)
    last = first + timedelta(seconds=seconds)
    found = axis.times(first, last, most=most)
    assert len(found) <= most
    assert all(first <= moment.at <= last for moment in found)
    assert [moment.at for moment in found] == sorted({moment.at for moment in found})


@pytest.mark.parametrize(
    ("days", "labels"),
    [
        (0.25, ["3 Mar 09:00", "3 Mar 12:00"]),
        (2.0, ["3 Mar 12:00", "4 Mar 00:00", "4 Mar 12:00", "5 Mar 00:00"]),
        (40.0, ["9 Mar", "16 Mar", "23 Mar", "30 Mar", "6 Apr"]),
        (400.0, ["Apr 2026", "Jul 2026", "Oct 2026", "Jan 2027", "Apr 2027"]),
        (4000.0, ["2028", "2030", "2032", "2034", "2036"]),
    ],
)
def test_times_are_written_as_far_apart_as_they_are(days: float, labels: list[str]) -> None:
    start = datetime(2026, 3, 3, 8, tzinfo=UTC)
    found = axis.times(start, start + timedelta(days=days), most=6)
    assert [moment.label for moment in found] == labels
