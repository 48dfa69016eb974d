"""A running server notices that nothing starts the jobs any more."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec

from mlkit.flows.alerts import alerting
from mlkit.project import Project
from mlkit.server.watchdog import Watchdog
from mlkit.settings.table import Jobs
from mlkit.store import runs
from mlkit.store.disk import processes

JOBS = """
from mlkit.timetable import Job

TIMETABLE = (Job("often", run=str, at="* * * * *"),)
"""


def _wait_for(what: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 10
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _ran(project: Project, minutes_ago: int) -> None:
    at = project.now() - timedelta(minutes=minutes_ago)
    due = at.replace(second=0, microsecond=0)
    with project.write() as s:
        run = runs.claim(s, "often", due, runner=processes.identity(), now=at)
        assert run is not None
        runs.finish(s, run.id, "ok", "", at)


def _impatient(project: Project) -> Project:
    settings = msgspec.structs.replace(project.settings, jobs=Jobs(late_after="1m"))
    return Project(project.root, settings, project.database)


def test_the_lookout_raises_the_alert_and_ends_it(project: Project) -> None:
    import os

    (project.root / "jobs").mkdir()
    file = project.root / "jobs" / "__init__.py"
    file.write_text(JOBS)
    os.utime(file, (1, 1))
    _ran(project, 90)
    watchdog = Watchdog(_impatient(project), project.root, every_s=0.02)
    watchdog._patience_s = 0.1
    watchdog.start()
    _wait_for(lambda: alerting.ongoing(project))
    (alert,) = alerting.ongoing(project)
    assert (alert.key, alert.severity) == ("clock:jobs", "critical")
    _ran(project, 1)
    _wait_for(lambda: not alerting.ongoing(project))
    watchdog.stop()


def test_it_gives_the_clock_its_time_after_the_start(project: Project) -> None:
    import os

    (project.root / "jobs").mkdir()
    file = project.root / "jobs" / "__init__.py"
    file.write_text(JOBS)
    os.utime(file, (1, 1))
    _ran(project, 90)
    watchdog = Watchdog(_impatient(project), project.root, every_s=0.02)
    watchdog.start()
    time.sleep(0.3)
    watchdog.stop()
    assert alerting.ongoing(project) == []


def test_a_project_without_a_timetable_is_served_all_the_same(
    project: Project, caplog: Any
) -> None:
    watchdog = Watchdog(_impatient(project), project.root, every_s=0.02)
    watchdog._patience_s = 0.0
    watchdog.start()
    _wait_for(lambda: caplog.records)
    time.sleep(0.1)
    watchdog.stop()
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("cannot tell whether the jobs are run: ")
