"""The rules of alerts and their messages, as pure functions: when to open, end, send and retry.

``alerting``, ``delivery`` and ``operations.upkeep`` apply them; nothing here reads or writes.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final, NamedTuple

from mlkit.settings import table
from mlkit.settings.table import Alerts
from mlkit.store.alerts import Severity

_FIRST_DELAY: Final = timedelta(minutes=1)
_LONGEST_DELAY: Final = timedelta(hours=1)
_BLOCKING_ATTEMPTS: Final = 5  # half an hour; then a failing message no longer blocks later ones
_FAR: Final = 1.5  # times its limit from which on a loss is critical
_RUNS: Final = 3
_OK: Final = "ok"
_UNSURE: Final = "insufficient_data"


class Queued(NamedTuple):
    """A message in the outbox of one sink; ``alert`` is None for a digest."""

    id: int
    alert: int | None
    attempts: int
    next_attempt_at: datetime | None
    snoozed_until: datetime | None = None


def is_bad(verdict: str) -> bool:
    """Tell whether a verdict says that something is wrong."""
    return verdict not in (_OK, _UNSURE)


def opens(verdicts: Sequence[str], rule: str) -> bool:
    """Tell whether these verdicts, the newest first, open an alert by a rule such as "2 of 3".

    Verdicts of insufficient data do not count.

    >>> opens(["drift"], "1 of 1"), opens(["drift", "ok", "ok"], "2 of 3")
    (True, False)
    >>> opens(["drift", "insufficient_data", "ok", "drift"], "2 of 3")
    True
    """
    few, many = table.out_of(rule)
    sure = [verdict for verdict in verdicts if verdict != _UNSURE][:many]
    return bool(sure) and sure[0] != _OK and sum(verdict != _OK for verdict in sure) >= few


def ends(verdicts: Sequence[str], in_a_row: int) -> bool:
    """Tell whether these verdicts, the newest first, end an alert.

    >>> ends(["ok"], 1), ends(["ok", "drift"], 2), ends(["ok", "insufficient_data", "ok"], 2)
    (True, False, True)
    """
    sure = [verdict for verdict in verdicts if verdict != _UNSURE][:in_a_row]
    return len(sure) == in_a_row and all(verdict == _OK for verdict in sure)


def severity_of_loss(low: float | None, limit: float) -> Severity:
    """Return critical if the lower limit of a loss's interval is far above its limit.

    >>> severity_of_loss(0.31, 0.3), severity_of_loss(0.46, 0.3)
    ('warning', 'critical')
    """
    return "critical" if low is not None and low >= _FAR * limit > 0 else "warning"


def severity_of_runs(statuses: Sequence[str]) -> Severity:
    """Return critical if the last three runs of a job, the newest first, all went wrong.

    >>> severity_of_runs(["failed"]), severity_of_runs(["oom", "failed", "timeout", "ok"])
    ('warning', 'critical')
    """
    last = statuses[:_RUNS]
    return "critical" if len(last) == _RUNS and _OK not in last else "warning"


def quiet_until(now: datetime, hours: str, zone: tzinfo) -> datetime | None:
    """Return the end of the quiet hours that ``now`` is in, in UTC, or None.

    They last from the first local time to the next occurrence of the second one, so the night in
    which summer time begins is an hour shorter.

    >>> from zoneinfo import ZoneInfo
    >>> night = datetime(2026, 3, 28, 22, 30, tzinfo=UTC)  # 23:30 in Berlin
    >>> quiet_until(night, "23:00-07:00", ZoneInfo("Europe/Berlin")).isoformat()
    '2026-03-29T05:00:00+00:00'
    >>> quiet_until(night, "", UTC), quiet_until(night, "23:00-07:00", UTC)
    (None, None)
    """
    if not hours:
        return None
    begin, end = map(time.fromisoformat, hours.split("-"))
    today = now.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):
        until = day + timedelta(days=1) if end <= begin else day
        # in UTC, because Python compares times of the same zone by their local time
        starts = datetime.combine(day, begin, zone).astimezone(UTC)
        stops = datetime.combine(until, end, zone).astimezone(UTC)
        if starts <= now < stops:
            return stops
    return None


def told_at(now: datetime, severity: str, chosen: Alerts, *, ended: bool = False) -> datetime:
    """Return when a message may be sent: an end after the cool-down, a warning after quiet hours.

    >>> chosen = Alerts(quiet_hours="22:00-07:00", cool_down="1h")
    >>> late = datetime(2026, 1, 5, 21, 30, tzinfo=UTC)
    >>> told_at(late, "warning", chosen) == late
    True
    >>> told_at(late, "warning", chosen, ended=True).isoformat()
    '2026-01-06T07:00:00+00:00'
    """
    if ended:
        now += length(chosen.cool_down) or timedelta()
    if severity == "critical":
        return now
    return quiet_until(now, chosen.quiet_hours, table.zone(chosen.time_zone)) or now


def next_digest(now: datetime, chosen: Alerts) -> datetime:
    """Return when the next digest after ``now`` is due; weekly ones are due on Mondays.

    >>> thursday = datetime(2026, 1, 1, 9, tzinfo=UTC)
    >>> next_digest(thursday, Alerts(digest="daily")).isoformat()
    '2026-01-02T08:00:00+00:00'
    >>> next_digest(thursday, Alerts(digest="weekly")).isoformat()
    '2026-01-05T08:00:00+00:00'
    """
    zone, at = table.zone(chosen.time_zone), time.fromisoformat(chosen.digest_at)
    day = now.astimezone(zone).date()
    while True:
        moment = datetime.combine(day, at, zone).astimezone(UTC)
        if moment > now and (chosen.digest == "daily" or day.weekday() == 0):
            return moment
        day += timedelta(days=1)


def retry_after(attempts: int, timeout_s: float) -> timedelta:
    """Return the back-off after an attempt: 1, 2, 4 ... minutes, at most an hour.

    It is the lease of the message, too, so it is never shorter than the attempt itself can take.

    >>> [retry_after(n, 10.0).total_seconds() / 60 for n in (1, 2, 6, 7, 400)]
    [1.0, 2.0, 32.0, 60.0, 60.0]
    """
    grown: timedelta = min(_LONGEST_DELAY, _FIRST_DELAY * (1 << min(attempts - 1, 16)))
    return max(grown, timedelta(seconds=3 * timeout_s))


def next_to_send(queue: Sequence[Queued], now: datetime) -> Queued | None:
    """Return the message of a sink that is to be sent now, the first in order, or None.

    A message that failed, or that another process has claimed, blocks those behind it: messages
    keep their order, and a sink that is down is not tried again and again. After five attempts it
    no longer blocks, so that one message that the sink refuses cannot block the others for ever.
    Messages about the same alert always keep their order.

    >>> early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    >>> other = Queued(3, 8, 0, None)
    >>> next_to_send([Queued(1, 7, 0, late), Queued(2, 7, 0, None), other], early).id
    3
    >>> next_to_send([Queued(1, 7, 1, late), other], early) is None
    True
    >>> next_to_send([Queued(1, 7, 9, late), other], early).id
    3
    """
    held = set()
    for message in queue:
        if message.alert is not None and message.alert in held:
            continue
        snoozed = message.snoozed_until is not None and message.snoozed_until > now
        due = message.next_attempt_at is None or message.next_attempt_at <= now
        if due and not snoozed:
            return message
        if not snoozed and 0 < message.attempts < _BLOCKING_ATTEMPTS:
            return None
        held.add(message.alert)
    return None


def length(text: str) -> timedelta | None:
    """Return the duration of a setting, None for "off".

    >>> length("off"), length("2h")
    (None, datetime.timedelta(seconds=7200))
    """
    return None if text == "off" else table.duration(text)
