"""The numbers beside an axis are round and few, and reach the top."""

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
