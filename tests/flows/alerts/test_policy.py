"""The rules of alerts hold for every time and every order, not only for the examples."""

import doctest
from datetime import UTC, datetime, timedelta
from types import ModuleType
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mlkit.flows.alerts import next_steps, pinned, policy, webhooks
from mlkit.flows.alerts.policy import Queued
from mlkit.settings import table, values
from mlkit.settings.table import Alerts

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize("module", [policy, next_steps, pinned, values, webhooks])
def test_the_examples_are_true(module: ModuleType) -> None:
    outcome = doctest.testmod(module, optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    assert outcome.attempted > 0
    assert outcome.failed == 0


@hypothesis_settings(max_examples=300, deadline=None)
@given(
    minute=st.integers(0, 366 * 24 * 60),
    begin=st.integers(0, 1439),
    end=st.integers(0, 1439),
)
def test_quiet_hours_are_those_of_the_clock_on_the_wall(minute: int, begin: int, end: int) -> None:
    if begin == end:
        return
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    hours = f"{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"
    until = policy.quiet_until(now, hours, BERLIN)
    local = now.astimezone(BERLIN)
    if (local - timedelta(hours=25)).utcoffset() == (local + timedelta(hours=25)).utcoffset():
        wall = local.hour * 60 + local.minute
        quiet = begin <= wall < end if begin < end else wall >= begin or wall < end
        assert (until is not None) == quiet
        if until is not None:
            stop = until.astimezone(BERLIN)
            assert stop.hour * 60 + stop.minute == end
    if until is not None:
        assert timedelta() < until - now <= timedelta(hours=25)
        assert policy.quiet_until(until, hours, BERLIN) is None


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-03-28T20:59:59+00:00", None),
        ("2026-03-28T21:00:00+00:00", "2026-03-29T05:00:00+00:00"),  # eight hours: spring
        ("2026-10-24T20:00:00+00:00", "2026-10-25T06:00:00+00:00"),  # ten hours: autumn
        ("2026-10-25T05:59:59+00:00", "2026-10-25T06:00:00+00:00"),
        ("2026-10-25T06:00:00+00:00", None),
    ],
)
def test_the_nights_in_which_the_clock_is_changed(at: str, until: str | None) -> None:
    found = policy.quiet_until(datetime.fromisoformat(at), "22:00-07:00", BERLIN)
    assert (found.isoformat() if found else None) == until


def test_an_hour_that_the_clock_repeats_is_quiet_once() -> None:
    for minutes in range(0, 300, 5):  # 02:30 comes twice in this night
        now = datetime(2026, 10, 24, 23, tzinfo=UTC) + timedelta(minutes=minutes)
        quiet = policy.quiet_until(now, "23:00-02:30", BERLIN) is not None
        assert quiet == (now < datetime(2026, 10, 25, 0, 30, tzinfo=UTC))


def test_a_digest_comes_at_its_time_of_day_in_summer_and_winter() -> None:
    chosen = Alerts(digest="daily", digest_at="08:00", time_zone="Europe/Berlin")
    moment, local = datetime(2026, 3, 1, tzinfo=UTC), []
    for _ in range(60):
        moment = policy.next_digest(moment, chosen)
        local.append(moment.astimezone(BERLIN))
    assert {f"{each:%H:%M}" for each in local} == {"08:00"}
    assert [each.date() for each in local] == sorted({each.date() for each in local})


@given(st.lists(st.sampled_from(["ok", "drift", "insufficient_data"]), max_size=9))
def test_verdicts_that_say_nothing_change_nothing(verdicts: list[str]) -> None:
    sure = [verdict for verdict in verdicts if verdict != "insufficient_data"]
    for rule in ("1 of 1", "2 of 3", "3 of 3"):
        assert policy.opens(verdicts, rule) == policy.opens(sure, rule)
    for count in (1, 2, 3):
        assert policy.ends(verdicts, count) == policy.ends(sure, count)
        assert not (policy.ends(verdicts, count) and policy.opens(verdicts, "1 of 1"))


_TIMES = st.sampled_from([None, NOW - timedelta(hours=1), NOW, NOW + timedelta(hours=1)])


@given(
    st.lists(
        st.builds(
            Queued, id=st.just(0), alert=st.sampled_from([None, 1, 2, 3]),
            attempts=st.sampled_from([0, 0, 1, 4, 5, 9]), next_attempt_at=_TIMES,
            snoozed_until=_TIMES,
        ),
        max_size=8,
    )
)  # fmt: skip
def test_what_is_sent_is_due_and_before_all_that_is_told_of_the_same_alert(
    queue: list[Queued],
) -> None:
    queue = [message._replace(id=number) for number, message in enumerate(queue)]
    chosen = policy.next_to_send(queue, NOW)
    if chosen is None:
        first_free = [m for m in queue if m.next_attempt_at is None and m.snoozed_until is None]
        assert not first_free or first_free[0].id > 0
        return
    assert chosen.next_attempt_at is None or chosen.next_attempt_at <= NOW
    assert chosen.snoozed_until is None or chosen.snoozed_until <= NOW
    before = queue[: chosen.id]
    assert chosen.alert is None or all(m.alert != chosen.alert for m in before)
    waits = [m for m in before if m.snoozed_until is None or m.snoozed_until <= NOW]
    assert not [m for m in waits if 0 < m.attempts < 5 and m.alert is None]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("quiet_hours = '22:00-22:00'", "begin and end at the same time"),
        ("quiet_hours = '22-7'", "alerts.quiet_hours"),
        ("time_zone = 'Mars/Olympus'", "no time zone 'Mars/Olympus'"),
        ("open_after = '3 of 2'", "can never come true"),
        ("open_after = 'twice'", "alerts.open_after"),
        ("cool_down = '0m'", "alerts.cool_down"),
        ("resolve_after = 0", "alerts.resolve_after"),
        ("digest_at = '24:00'", "alerts.digest_at"),
        ("webhook_format = 'teams'", "alerts.webhook_format"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(text: str, said: str, tmp_path: object) -> None:
    import msgspec

    document = msgspec.toml.decode(f"[alerts]\n{text}\n")
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(document, table.Settings)
    assert said in str(caught.value)
