"""The year is moved by whole days until it is just over."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mlkit.demo import flights
from mlkit.demo.clock import Clock, shift_to


@given(
    now=st.datetimes(
        datetime(2024, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)  # noqa: DTZ001  # hypothesis wants them naive
    )
)  # fmt: skip
def test_the_year_ends_3_to_27_hours_before_now(now: datetime) -> None:
    shift = shift_to(now)
    ago = now - (flights.month_start(13) + shift)
    assert shift % timedelta(days=1) == timedelta()
    assert timedelta(hours=3) <= ago < timedelta(hours=27)


def test_the_clock_is_one_whole_file_at_any_time(tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock")
    clock.set(datetime(2013, 2, 1, tzinfo=UTC))
    clock.set(datetime(2013, 2, 1, 5, 15, tzinfo=UTC))
    assert clock.file.read_text() == "2013-02-01T05:15:00+00:00"
    assert list(tmp_path.iterdir()) == [clock.file]
    clock.remove()
    clock.remove()
    assert list(tmp_path.iterdir()) == []
