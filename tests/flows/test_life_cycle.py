"""The life of an alert as time goes by: cool-down, quiet hours, escalation, snooze, digest."""

import json
from datetime import UTC, datetime
from email import message_from_bytes
from typing import Any

import msgspec
import pandas as pd
import pytest
from sqlalchemy import select

from mlkit.errors import ConflictError, InvalidInputError
from mlkit.flows.alerts import alerting
from mlkit.flows.monitoring import monitor
from mlkit.flows.operations import upkeep
from mlkit.project import Project
from mlkit.settings.table import Alerts, ModelSettings
from mlkit.store import audit
from mlkit.store.reports import DriftReport

ALERT: dict[str, Any] = {
    "kind": "drift", "severity": "warning", "model": "churn", "summary": "age moved", "details": {},
}  # fmt: skip


def told(hook: Any) -> list[str]:
    """Return the headlines that the hook got since it was last asked."""
    texts = [json.loads(body)["text"].partition(":")[0] for body in hook.bodies]
    hook.bodies.clear()
    return texts


def raised(project: Project, key: str = "drift:churn", **other: Any) -> bool:
    opened = alerting.raise_alert(project, key=key, **{**ALERT, **other})
    upkeep.process(project)
    return opened


def ended(project: Project, key: str = "drift:churn") -> None:
    alerting.resolve(project, key, "gone")
    upkeep.process(project)


# --- cool-down


def test_what_comes_back_soon_is_the_same_alert_and_told_once(clocked: Any, hook: Any) -> None:
    project = clocked.alerts(webhook_url=hook.url, cool_down="1h")
    raised(project)
    for _ in range(3):
        ended(project)
        assert alerting.ongoing(project) == []
        clocked.wait(minutes=59)
        assert not raised(project)
    (line,) = alerting.newest(project, 9)
    assert (line.status, line.flaps, line.times_seen, line.resolution) == ("open", 3, 4, None)
    assert told(hook) == ["firing"]
    ended(project)
    clocked.wait(hours=1)
    upkeep.process(project)
    assert told(hook) == ["resolved"]
    assert raised(project)  # later, it is another one
    assert len(alerting.newest(project, 9)) == 2
    assert told(hook) == ["firing"]


def test_whoever_was_told_of_an_end_is_told_that_it_was_none(clocked: Any, hook: Any) -> None:
    project = clocked.alerts(webhook_url=hook.url, cool_down="off")
    raised(project)
    ended(project)
    project = clocked.alerts(webhook_url=hook.url, cool_down="1h")
    assert not raised(project)
    assert told(hook) == ["firing", "resolved", "firing"]


# --- quiet hours


def test_warnings_wait_for_the_morning_and_critical_ones_do_not(clocked: Any, hook: Any) -> None:
    project = clocked.alerts(
        webhook_url=hook.url, quiet_hours="22:00-07:00", time_zone="Europe/Berlin"
    )
    clocked.set("2026-03-28T22:30:00+00:00")  # 23:30, and summer time begins in this night
    raised(project)
    assert told(hook) == []
    raised(project, "serving:churn", severity="critical")
    assert told(hook) == ["firing"]
    clocked.set("2026-03-29T04:59:59+00:00")
    upkeep.process(project)
    assert told(hook) == []
    clocked.set("2026-03-29T05:00:00+00:00")
    upkeep.process(project)
    assert told(hook) == ["firing"]


# --- escalation


def test_a_warning_that_nobody_acknowledges_becomes_critical_once(clocked: Any, hook: Any) -> None:
    project = clocked.alerts(webhook_url=hook.url, escalate_after="4h")
    raised(project)
    clocked.wait(hours=3, minutes=59)
    upkeep.process(project)
    assert told(hook) == ["firing"]
    for _ in range(3):
        clocked.wait(minutes=1)
        upkeep.process(project)
    assert told(hook) == ["escalated"]
    (line,) = alerting.ongoing(project)
    assert (line.severity, line.escalated_at) == ("critical", datetime(2026, 1, 5, 16, tzinfo=UTC))


def test_an_acknowledged_warning_stays_one(clocked: Any) -> None:
    project = clocked.alerts(escalate_after="4h")
    raised(project)
    alerting.ack(project, 1)
    clocked.wait(days=9)
    assert upkeep.process(project) == "nothing to tell"
    assert alerting.ongoing(project)[0].severity == "warning"


def test_an_escalation_breaks_the_quiet(clocked: Any, hook: Any) -> None:
    project = clocked.alerts(webhook_url=hook.url, quiet_hours="22:00-07:00", escalate_after="3h")
    clocked.set("2026-01-05T23:00:00+00:00")
    raised(project)
    assert told(hook) == []
    clocked.wait(hours=3)
    upkeep.process(project)
    assert told(hook) == ["firing", "escalated"]


def test_a_warning_that_a_check_finds_critical_is_told(clocked: Any, hook: Any) -> None:
    project = clocked.alerts(webhook_url=hook.url)
    raised(project, "performance:churn")
    raised(project, "performance:churn", severity="critical")
    raised(project, "performance:churn", severity="critical")
    assert told(hook) == ["firing", "escalated"]


# --- snooze


def test_a_snooze_is_silent_ends_by_itself_and_reminds(clocked: Any, hook: Any) -> None:
    project = clocked.alerts(webhook_url=hook.url, escalate_after="4h")
    raised(project)
    line = alerting.snooze(project, 1, "6h")
    assert (line.status, line.snoozed_by) == ("snoozed", project.actor)
    assert alerting.unattended(project) == []
    clocked.wait(hours=5)
    upkeep.process(project)
    assert told(hook) == ["firing"]
    clocked.wait(hours=1)
    assert "1 snoozes ended" in upkeep.process(project)
    assert told(hook) == ["reminder"]
    assert [line.status for line in alerting.unattended(project)] == ["open"]
    clocked.wait(hours=4)
    upkeep.process(project)
    assert told(hook) == ["escalated"]
    with project.read() as s:
        (event,) = s.scalars(select(audit.AuditEvent)).all()
    assert (event.action, event.subject) == ("snooze", "drift:churn")


def test_an_alert_that_ends_in_its_snooze_is_told_after_it(clocked: Any, hook: Any) -> None:
    project = clocked.alerts(webhook_url=hook.url)
    raised(project)
    alerting.snooze(project, 1, "6h")
    ended(project)
    assert told(hook) == ["firing"]
    clocked.wait(hours=6)
    upkeep.process(project)
    assert told(hook) == ["resolved"]


def test_only_an_ongoing_alert_can_be_snoozed_for_a_length_of_time(clocked: Any) -> None:
    project = clocked.alerts()
    raised(project)
    with pytest.raises(InvalidInputError, match="'soon' is not a duration"):
        alerting.snooze(project, 1, "soon")
    with pytest.raises(InvalidInputError, match="is longer than a thousand years"):
        alerting.snooze(project, 1, "99999999w")
    ended(project)
    with pytest.raises(ConflictError, match=r"alert 1 .* has ended: gone"):
        alerting.snooze(project, 1, "4h")


# --- digest


def test_a_digest_gathers_the_warnings_of_a_day(clocked: Any, mailbox: Any) -> None:
    project = clocked.alerts(
        smtp_host="127.0.0.1", smtp_port=mailbox.port, smtp_starttls=False, mail_to=("a@b.c",),
        digest="daily",
    )  # fmt: skip
    for model in ("a", "b", "c"):
        raised(project, f"drift:{model}")
    ended(project, "drift:c")
    raised(project, "serving:a", severity="critical")
    assert len(mailbox.letters) == 1  # what is critical goes at once
    clocked.set("2026-01-06T08:00:00+00:00")
    upkeep.process(project)
    letter = message_from_bytes(mailbox.letters[1])
    assert letter["Subject"] == "[mlkit] digest: 3 ongoing, 1 ended in project"
    part = next(iter(list(letter.walk())[1:]))
    text = str(part.get_payload())
    assert [line for line in text.splitlines() if line.startswith(("firing", "resolved"))] == [
        "firing: age moved", "firing: age moved", "firing: age moved",
        "resolved: drift:c ended: gone",
    ]  # fmt: skip
    assert "  mlkit drift check a --explain" in text.splitlines()


def test_a_digest_comes_every_day_until_nothing_goes_on(clocked: Any, hook: Any) -> None:
    project = clocked.alerts(webhook_url=hook.url, digest="daily")
    raised(project)
    for day in (6, 7):
        clocked.set(f"2026-01-0{day}T08:00:00+00:00")
        upkeep.process(project)
        assert [json.loads(body)["summary"] for body in hook.bodies] == [
            "1 ongoing, 0 ended in project"
        ]
        assert told(hook) == ["digest"]
    ended(project)
    clocked.wait(days=1)
    upkeep.process(project)
    assert [json.loads(body)["summary"] for body in hook.bodies] == [
        "0 ongoing, 1 ended in project"
    ]
    assert told(hook) == ["digest"]
    for _ in range(3):
        clocked.wait(days=1)
        assert upkeep.process(project) == "nothing to tell"
    assert told(hook) == []


def test_what_is_acknowledged_or_snoozed_asks_for_no_digest(clocked: Any, hook: Any) -> None:
    project = clocked.alerts(webhook_url=hook.url, digest="weekly", escalate_after="off")
    raised(project, "drift:a")
    raised(project, "drift:b")
    clocked.set("2026-01-11T08:00:00+00:00")  # a Sunday
    upkeep.process(project)
    assert told(hook) == []
    clocked.wait(days=1)
    upkeep.process(project)
    assert told(hook) == ["digest"]
    alerting.ack(project, 1)
    alerting.snooze(project, 2, "2w")
    clocked.wait(days=7)
    upkeep.process(project)
    assert told(hook) == []
    clocked.wait(days=7)
    upkeep.process(project)  # the snooze is over
    assert told(hook) == ["digest"]


# --- N of M, and good ones in a row


def _verdicts(project: Project, churn: Any, answer: Any, days: list[bool]) -> list[list[str]]:
    """Check days of drifted (True) or usual rows; return what was open after each."""
    seen = []
    for number, drifted in enumerate(days):
        frame: pd.DataFrame = churn(rows=300, seed=5 + number).drop(columns="since")
        if drifted:
            frame["age"] += 40
        with project.write() as s:
            for table in ("actual", "prediction"):
                s.connection().exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608  # of this list
        answer(project, frame)
        monitor.check_drift(project, "churn")
        seen.append([line.key for line in alerting.ongoing(project)])
    return seen


def test_two_of_three_open_an_alert_and_two_in_a_row_end_it(
    trained: Project, churn: Any, answer: Any
) -> None:
    settings = msgspec.structs.replace(
        trained.settings, alerts=Alerts(open_after="2 of 3"),
        models={"churn": ModelSettings(alert_resolve_after=2)},
    )  # fmt: skip
    project = Project(trained.root, settings, trained.database)
    days = [True, False, False, True, False, True, False, True, False, False]
    seen = _verdicts(project, churn, answer, days)
    with project.read() as s:
        verdicts = list(s.scalars(select(DriftReport.verdict).order_by(DriftReport.id)))
    assert [verdict == "drift" for verdict in verdicts] == days
    assert [bool(keys) for keys in seen] == [False] * 5 + [True] * 4 + [False]


def test_a_model_that_is_wrong_most_of_the_time_is_critical(
    trained: Project, churn: Any, answer: Any
) -> None:
    frame = churn(rows=300, seed=5).drop(columns="since")
    frame["churned"] = frame["churned"].map({"yes": "no", "no": "yes"})
    answer(trained, frame)
    checked = monitor.check_performance(trained, "churn")
    assert checked.low is not None
    assert checked.low > 1.5 * checked.limit
    (alert,) = alerting.ongoing(trained)
    assert (alert.key, alert.severity) == ("performance:churn", "critical")


def test_the_length_of_a_digest_is_bounded_by_what_ended_since(clocked: Any, hook: Any) -> None:
    project = clocked.alerts(webhook_url=hook.url, digest="daily")
    raised(project, "drift:old")
    ended(project, "drift:old")
    clocked.set("2026-01-06T08:00:00+00:00")
    upkeep.process(project)
    clocked.wait(days=30)
    raised(project, "drift:new")
    clocked.wait(hours=24)
    upkeep.process(project)
    first, second = (json.loads(body)["alerts"] for body in hook.bodies)
    assert [alert["dedupe_key"] for alert in first] == ["drift:old"]
    assert [alert["dedupe_key"] for alert in second] == ["drift:new"]
