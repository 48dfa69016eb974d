"""The chart in the terminal shows each month once per curve, whatever the numbers are."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlkit.demo import chart
from mlkit.demo.story import Month

ERRORS = st.floats(0, 1e300)
YEARS = st.lists(st.tuples(ERRORS, ERRORS), min_size=1, max_size=11)


def _drawn(month: Callable[..., Month], errors: list[tuple[float, float]]) -> list[str]:
    months = [
        month(number, mae_live=live, mae_frozen=frozen)
        for number, (live, frozen) in enumerate(errors, start=2)
    ]
    return chart.draw(months).splitlines()


@given(errors=YEARS)
def test_every_month_has_its_marks_in_its_column(
    month: Callable[..., Month], errors: list[tuple[float, float]]
) -> None:
    title, *levels, bottom, names, legend = _drawn(month, errors)
    start = bottom.index("└") + 1
    for place in range(len(errors)):
        column = [line.ljust(200)[start + 6 * place : start + 6 * place + 6] for line in levels]
        marks = "".join("".join(column).split())
        assert "".join(sorted(marks)) in (chart.BOTH, "".join(sorted(chart.LIVE + chart.FROZEN)))
    assert names.split() == [month(number).name[:3] for number in range(2, len(errors) + 2)]
    assert (title, legend.split()[0]) == ("minutes wrong, on average", chart.LIVE)
    assert len(levels) <= 12


@given(errors=YEARS)
def test_all_axes_start_in_the_same_column(
    month: Callable[..., Month], errors: list[tuple[float, float]]
) -> None:
    _, *levels, bottom, _, _ = _drawn(month, errors)
    assert {line.index("┤") for line in levels} == {bottom.index("└")}


@given(error=ERRORS, count=st.integers(1, 11))
def test_equal_errors_share_their_mark(
    month: Callable[..., Month], error: float, count: int
) -> None:
    text = "\n".join(_drawn(month, [(error, error)] * count)[:-1])
    assert text.count(chart.BOTH) == count
    assert chart.LIVE not in text


def test_the_higher_error_is_drawn_higher(month: Callable[..., Month]) -> None:
    lines = _drawn(month, [(6.6, 17.1)])
    place = {mark: next(i for i, line in enumerate(lines) if mark in line) for mark in "●○"}
    assert lines[place["○"]].split()[0] == "18"
    assert lines[place["●"]].split()[0] == "6"


@pytest.mark.parametrize("months", [1, 11])
def test_a_year_fits_a_terminal_of_80_columns_and_a_plain_one(
    month: Callable[..., Month], months: int
) -> None:
    text = "\n".join(_drawn(month, [(9.2, 17.1)] * months))
    assert max(map(len, text.splitlines())) < 80
    plain = chart.plain(text)
    assert plain.isascii()
    assert len(plain) == len(text)
