"""Messages are never lost: back-off, order, sinks that hang, processes that die or compete."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from mlkit.flows.alerts import alerting
from mlkit.flows.alerts.alerting import Delivered
from mlkit.flows.operations import upkeep
from mlkit.project import Project
from mlkit.store.alerts import AlertDelivery
from mlkit.store.disk import failpoints

ALERT: dict[str, Any] = {
    "kind": "drift", "severity": "warning", "model": "churn", "summary": "age moved", "details": {},
}  # fmt: skip


def rows(project: Project) -> list[AlertDelivery]:
    with project.read() as s:
        return list(s.scalars(select(AlertDelivery).order_by(AlertDelivery.id)))


def keys(hook: Any) -> list[str]:
    return [json.loads(body)["dedupe_key"] for body in hook.bodies]


def test_what_fails_is_tried_again_later_and_later_in_the_same_order(
    clocked: Any, hook: Any
) -> None:
    project = clocked.alerts(webhook_url=hook.url)
    hook.answers = [500, 500]
    alerting.raise_alert(project, key="drift:a", **ALERT)
    alerting.raise_alert(project, key="drift:b", **ALERT)
    assert alerting.deliver(project) == Delivered(2, 2)
    assert alerting.deliver(project) == Delivered(0, 0)  # not yet
    assert len(hook.bodies) == 1  # a sink that is down is asked once
    first, second = alerting.ongoing(project)
    (lost,) = first.undelivered
    assert (lost.sink, lost.attempts, lost.error) == ("webhook", 1, "the webhook answered 500")
    assert lost.next_attempt_at == datetime(2026, 1, 5, 12, 1, tzinfo=UTC)
    assert second.undelivered == ()
    clocked.wait(minutes=1)
    assert alerting.deliver(project) == Delivered(0, 2)
    clocked.wait(minutes=1)
    assert alerting.deliver(project) == Delivered(0, 0)
    clocked.wait(minutes=1)
    assert alerting.deliver(project) == Delivered(2, 0)
    ids = [json.loads(body)["id"] for body in hook.bodies]
    assert ids == ["2", "2", "2", "4"]  # the same id each time it is tried, and in order
    assert alerting.ongoing(project)[0].undelivered == ()


def test_a_message_is_never_given_up(clocked: Any, hook: Any) -> None:
    project = clocked.alerts(webhook_url=hook.url)
    hook.answers = [503] * 200
    alerting.raise_alert(project, key="drift:a", **ALERT)
    for _ in range(7 * 24):
        alerting.deliver(project)
        clocked.wait(hours=1)
    (lost,) = alerting.ongoing(project)[0].undelivered
    assert lost.attempts == 7 * 24  # hourly at the end
    hook.answers = []
    assert alerting.deliver(project) == Delivered(1, 0)


def test_one_message_that_nobody_takes_does_not_hold_up_the_others_for_ever(
    clocked: Any, hook: Any
) -> None:
    project = clocked.alerts(webhook_url=hook.url)
    hook.answers = [400] * 5
    alerting.raise_alert(project, key="drift:poison", **ALERT)
    for minutes in (0, 1, 2, 4, 8):
        clocked.wait(minutes=minutes)
        alerting.deliver(project)
    alerting.raise_alert(project, key="drift:b", **ALERT)
    alerting.resolve(project, "drift:poison", "gone")
    hook.answers = [200, 400]
    alerting.deliver(project)
    assert keys(hook)[5:] == ["drift:b", "drift:poison"]
    clocked.wait(hours=1)
    alerting.deliver(project)  # the end is not told before the beginning
    assert [json.loads(body)["status"] for body in hook.bodies[7:]] == ["firing", "resolved"]


def test_what_a_sink_missed_follows_as_soon_as_it_works_again(clocked: Any, hook: Any) -> None:
    project = clocked.alerts(webhook_url=hook.url)
    hook.answers = [500] * 6
    alerting.raise_alert(project, key="drift:a", **ALERT)
    for _ in range(6):
        alerting.deliver(project)
        clocked.wait(hours=1)
    clocked.wait(minutes=-50)
    assert [outcome.delivered for outcome in alerting.test(project)] == [True, True]
    assert alerting.ongoing(project)[0].undelivered == ()


def test_a_sink_that_hangs_does_not_delay_the_others(
    clocked: Any, hook: Any, tmp_path: Path
) -> None:
    done = tmp_path / "done"
    code = f"import pathlib, time; time.sleep(0.2); pathlib.Path({str(done)!r}).touch()"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        project = clocked.alerts(
            webhook_url=url, command=(sys.executable, "-c", code), timeout_s=3.0
        )
        alerting.raise_alert(project, key="drift:a", **ALERT)
        thread = threading.Thread(target=alerting.deliver, args=(project,))
        thread.start()
        begun = time.monotonic()
        while not done.exists():
            assert time.monotonic() - begun < 2.5
            time.sleep(0.01)
        thread.join()
    errors = {row.sink: row.error for row in rows(project)}
    assert errors["webhook"] == "cannot reach the webhook: no answer within 3 s"
    assert errors["command"] is None


def test_many_deliveries_at_once_send_each_message_once(clocked: Any, hook: Any) -> None:
    project = clocked.alerts(webhook_url=hook.url)
    for number in range(10):
        alerting.raise_alert(project, key=f"drift:m{number}", **ALERT)
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda _: alerting.deliver(project), range(6)))
    alerting.deliver(project)
    assert keys(hook) == [f"drift:m{number}" for number in range(10)]
    assert sum(one.sent for one in done) == 20


def test_what_another_process_is_sending_is_left_to_it(clocked: Any, tmp_path: Path) -> None:
    script = f"echo x >> {tmp_path}/sent; sleep 0.6"
    project = clocked.alerts(command=("sh", "-c", script))
    alerting.raise_alert(project, key="drift:a", **ALERT)
    thread = threading.Thread(target=alerting.deliver, args=(project,))
    thread.start()
    while not (tmp_path / "sent").exists():
        time.sleep(0.01)
    assert alerting.deliver(project) == Delivered(0, 0)
    thread.join()
    assert (tmp_path / "sent").read_text() == "x\n"


@pytest.mark.parametrize(("moment", "arrived"), [("alert.claimed", 1), ("alert.sent", 2)])
def test_kill_9_loses_no_message(clocked: Any, hook: Any, moment: str, arrived: int) -> None:
    settings = clocked.project.root / "mlkit.toml"
    settings.write_text(f'[alerts]\nwebhook_url = "{hook.url}"\n')
    project = clocked.alerts(webhook_url=hook.url)
    alerting.raise_alert(project, key="drift:a", **ALERT)
    with project.write() as s:
        for row in s.scalars(select(AlertDelivery).where(AlertDelivery.sink == "log")):
            row.delivered_at = project.now()  # only the webhook's is left
    code = (
        "from mlkit.project import open_project; from mlkit.flows.alerts import alerting; "
        "alerting.deliver(open_project())"
    )
    environment = {
        **os.environ, "MLKIT_PROJECT": str(project.root), failpoints.VARIABLE: moment,
        "MLKIT_CLOCK": str(clocked.file),
    }  # fmt: skip
    killed = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert alerting.deliver(project) == Delivered(0, 0)  # as if it were still being sent
    clocked.wait(minutes=1)
    assert alerting.deliver(project) == Delivered(1, 0)
    assert [json.loads(body)["id"] for body in hook.bodies] == ["2"] * arrived
    clocked.wait(days=1)
    assert alerting.deliver(project) == Delivered(0, 0)


def test_messages_for_a_sink_that_is_no_longer_set_are_dropped(clocked: Any, hook: Any) -> None:
    project = clocked.alerts(webhook_url=hook.url)
    hook.answers = [500]
    alerting.raise_alert(project, key="drift:a", **ALERT)
    alerting.deliver(project)
    project = clocked.alerts()
    assert upkeep.process(project) == "nothing to tell"
    assert alerting.ongoing(project)[0].undelivered == ()
    (row,) = [row for row in rows(project) if row.sink == "webhook"]
    assert (row.error, row.delivered_at) == ("the sink is not configured any more", None)
