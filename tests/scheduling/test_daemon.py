"""The daemon runs slots, makes up for missed ones, is alone, survives clock jumps and stops."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import Pipe
from typing import Any

import msgspec
import pytest

from mlkit import timetable
from mlkit.flows.alerts import alerting
from mlkit.project import Project
from mlkit.scheduling import daemon, runner, supervisor
from mlkit.scheduling.daemon import SlotTrigger
from mlkit.scheduling.runner import RunResult
from mlkit.settings.table import Jobs
from mlkit.timetable import Job

JOBS = """
import time
from mlkit.timetable import Job

def quick(project):
    return "done"

def endless(project):
    time.sleep(60)

TIMETABLE = (Job("quick", run=quick, at="* * * * *"), Job("endless", run=endless, at="* * * * *"))
"""


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    supervisor.preload([])


@pytest.fixture
def watched(project: Project) -> Iterator[Project]:
    """A project with jobs and a fast heart."""
    (project.root / "jobs").mkdir()
    (project.root / "jobs" / "__init__.py").write_text(JOBS)
    (project.root / "mlkit.toml").write_text("[jobs]\nheartbeat_s = 0.1\ngrace_s = 1\n")
    settings = msgspec.structs.replace(project.settings, jobs=Jobs(heartbeat_s=0.05, grace_s=1))
    made = Project(project.root, settings, project.database)
    yield made
    made.close()


def _wait_for(what: Callable[[], Any], *, patience_s: float = 15.0) -> Any:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it never happened")


def _runs(project: Project, job: str, status: str) -> list[RunResult]:
    return [run for run in runner.history(project, job, limit=9) if run.status == status]


def test_one_daemon_catches_up_is_alone_and_stops_its_jobs_at_sigterm(
    watched: Project,
) -> None:
    command = [sys.executable, "-m", "mlkit", "--project", str(watched.root), "daemon"]
    for file in (watched.state_dir / "key", watched.root / "jobs" / "__init__.py"):
        os.utime(file, (1e9, 1e9))  # a project of long ago, whose slots were missed
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as first:
        _wait_for(lambda: _runs(watched, "quick", "ok"))
        _wait_for(lambda: _runs(watched, "endless", "running"))
        shutil.rmtree(watched.state_dir / "locks")  # the lock is not this file alone
        second = subprocess.run(command, capture_output=True, text=True, check=False)
        first.send_signal(signal.SIGTERM)
        _, said = first.communicate(timeout=10)
    assert (second.returncode, "has a daemon already" in second.stderr) == (4, True)
    assert first.returncode == 0, said
    assert "Traceback" not in said
    assert "job quick ok: done" in said
    (stopped,) = _runs(watched, "endless", "stopped")
    assert "told to stop" in stopped.summary
    assert alerting.ongoing(watched) == []


@dataclass(frozen=True)
class Soon(Job):
    """A job whose slots are 0.3 s apart; cron has none so close."""

    def next_after(self, moment: datetime) -> datetime:
        return moment + timedelta(seconds=0.3)


def test_each_job_is_run_when_its_slot_comes(watched: Project) -> None:
    (quick, _) = timetable.load(watched)
    soon = Soon("quick", run=quick.run, at=quick.at)
    stop, stopper = Pipe(duplex=False)
    scheduler = daemon._scheduler(watched, [], stop)
    scheduler.add_job(daemon._run_slot, SlotTrigger(soon), args=(watched, soon, stop))
    scheduler.start()
    (run,) = _wait_for(lambda: _runs(watched, "quick", "ok"))
    stopper.close()
    scheduler.shutdown()
    assert run.due == quick.last_until(run.started_at)


def test_the_scheduler_knows_the_slots_of_the_timetable(watched: Project) -> None:
    jobs = timetable.load(watched)
    stop, stopper = Pipe(duplex=False)
    scheduler = daemon._scheduler(watched, jobs, stop)
    scheduler.start(paused=True)
    planned = {job.id: job.next_run_time for job in scheduler.get_jobs()}
    scheduler.shutdown()
    stopper.close()
    stop.close()
    assert set(planned) == {"missed slots", "quick", "endless"}
    for job in jobs:
        assert planned[job.name] == job.last_until(planned[job.name])
        assert planned[job.name] - datetime.now(UTC) <= timedelta(minutes=1)


def test_a_clock_that_was_set_back_does_not_silence_the_jobs(
    watched: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = timetable.load(watched)[:1]
    stop, stopper = Pipe(duplex=False)
    scheduler = daemon._scheduler(watched, jobs, stop)
    scheduler.start(paused=True)
    late = datetime.now(UTC) + timedelta(days=30)
    scheduler.modify_job("quick", next_run_time=late)
    offsets = iter([30 * 86400.0])  # first a month ahead, then right again

    def offset(_project: Project) -> float:
        found = next(offsets, 0.0)
        if found == 0.0:
            stopper.close()
        return found

    monkeypatch.setattr(daemon, "_wall_minus_monotonic", offset)
    with caplog.at_level(logging.WARNING):
        daemon._watch(watched, jobs, scheduler, stop)
    assert scheduler.get_job("quick").next_run_time < late - timedelta(days=29)
    assert "the clock went back" in caplog.text
    scheduler.shutdown()
    stop.close()


def test_an_error_is_told_and_outlived(watched: Project, caplog: pytest.LogCaptureFixture) -> None:
    (watched.root / "jobs" / "__init__.py").write_text("1 / 0")
    stop, stopper = Pipe(duplex=False)
    job = Job("quick", run=lambda _: "unused", at="* * * * *")
    with caplog.at_level(logging.INFO):
        daemon._run_slot(watched, job, stop)
    stopper.close()
    stop.close()
    assert "job quick failed: cannot import" in caplog.text
