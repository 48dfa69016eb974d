"""A job that did not run is noticed, and so is a clock that stands still."""

import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from mlkit import timetable
from mlkit.errors import MlkitError
from mlkit.flows.alerts import alerting
from mlkit.project import Project
from mlkit.scheduling import lateness, runner, supervisor
from mlkit.store import outbox, runs
from mlkit.store.disk import processes
from mlkit.timetable import Job

JOBS = """
from mlkit.timetable import Job

def run(project):
    return "done"

TIMETABLE = (
    Job("nightly", run=run, at="5 1 * * *"),
    Job("often", run=run, at="*/5 * * * *"),
)
"""


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    supervisor.preload([])


class Machine:
    """A project whose timetable was written on New Year's Day, and whose clock we move."""

    def __init__(self, project: Project, clock: Path) -> None:
        self.clock = clock
        self.project = Project(project.root, project.settings, project.database, clock)
        (project.root / "jobs").mkdir()
        self.edit(JOBS, "2026-01-01T00:00")

    def edit(self, text: str, at: str) -> None:
        file = self.project.root / "jobs" / "__init__.py"
        file.write_text(text)
        moment = datetime.fromisoformat(f"{at}+00:00").timestamp()
        os.utime(file, (moment, moment))

    def set(self, moment: str) -> None:
        self.clock.write_text(f"{moment}:00+00:00")

    def ran(self, job: str, due: str, status: str = "ok", started: str | None = None) -> None:
        slot = datetime.fromisoformat(f"{due}:00+00:00")
        start = datetime.fromisoformat(f"{started or due}:00+00:00")
        with self.project.write() as s:
            run = runs.claim(s, job, slot, runner=processes.identity(), now=start)
            assert run is not None
            if status != runs.RUNNING:
                runs.finish(s, run.id, status, "", start)

    def late(self) -> list[str]:
        return [each.job for each in lateness.find(self.project, timetable.load(self.project))]

    def open(self) -> list[str]:
        return [alert.key for alert in alerting.ongoing(self.project)]


@pytest.fixture
def machine(project: Project, tmp_path: Path) -> Machine:
    made = Machine(project, tmp_path / "clock")
    made.set("2026-01-10T00:00")
    return made


def test_a_job_that_did_not_run_when_due_is_an_alert_until_it_runs(machine: Machine) -> None:
    machine.ran("nightly", "2026-01-09T01:05")
    machine.ran("often", "2026-01-10T01:10")
    machine.set("2026-01-10T01:34")
    assert lateness.watch(machine.project) == "no job is late"
    machine.set("2026-01-10T01:40")
    machine.ran("often", "2026-01-10T01:35")
    for _ in range(2):
        assert lateness.watch(machine.project) == "late: nightly"
    (alert,) = alerting.ongoing(machine.project)
    assert (alert.key, alert.times_seen) == ("job:nightly", 2)
    assert alert.summary == "job nightly did not run at 2026-01-10 01:05Z, when it was due"
    assert "mlkit job run nightly" in alert.next
    jobs = {job.name: job for job in timetable.load(machine.project)}
    slot = jobs["nightly"].last_until(machine.project.now())
    assert runner.run_one(machine.project, jobs["nightly"], slot).status == "ok"
    assert machine.open() == []


def test_a_late_job_that_leaves_the_timetable_is_no_matter(machine: Machine) -> None:
    machine.ran("often", "2026-01-10T01:35")
    machine.set("2026-01-10T02:10")
    lateness.watch(machine.project)
    assert machine.open() == ["job:nightly"]
    machine.edit(JOBS.replace('Job("nightly", run=run, at="5 1 * * *"),', ""), "2026-01-01T00:00")
    machine.ran("often", "2026-01-10T02:05")
    lateness.watch(machine.project)
    assert machine.open() == []
    assert "no longer in the timetable" in (alerting.newest(machine.project, 1)[0].resolution or "")


def test_a_job_that_failed_is_not_late_and_its_alert_stays(machine: Machine) -> None:
    machine.ran("nightly", "2026-01-10T01:05", status="failed")
    runner._raise_alert(machine.project, "nightly", "failed", "no space")
    machine.ran("often", "2026-01-10T02:05")
    machine.set("2026-01-10T02:10")
    assert lateness.watch(machine.project) == "no job is late"
    assert machine.open() == ["job:nightly"]


def test_after_downtime_there_is_time_to_make_up_for_what_was_missed(machine: Machine) -> None:
    machine.ran("often", "2026-01-09T22:00")
    machine.ran("nightly", "2026-01-09T01:05")
    machine.set("2026-01-10T07:00")  # the machine is back
    machine.ran("often", "2026-01-10T07:00")
    assert machine.late() == []
    machine.set("2026-01-10T07:29")
    assert machine.late() == []
    machine.set("2026-01-10T07:31")
    machine.ran("often", "2026-01-10T07:30")
    assert machine.late() == ["nightly"]


@pytest.mark.parametrize(
    ("edited", "late"), [("2026-01-10T01:04", ["nightly"]), ("2026-01-10T01:06", [])]
)
def test_slots_before_the_timetable_was_edited_do_not_count(
    machine: Machine, edited: str, late: list[str]
) -> None:
    machine.edit(JOBS, edited)
    machine.ran("often", "2026-01-10T02:00")
    machine.set("2026-01-10T02:30")
    assert machine.late() == late


def test_a_job_that_is_still_running_is_not_late(machine: Machine) -> None:
    machine.ran("nightly", "2026-01-09T01:05", status=runs.RUNNING)
    machine.ran("often", "2026-01-10T01:35")
    machine.set("2026-01-10T02:10")
    assert machine.late() == []


def test_a_run_that_is_long_forgotten_makes_no_job_late(machine: Machine) -> None:
    yearly = Job("nightly", run=lambda _: "", at="0 1 1 1 *")
    machine.set("2026-06-01T00:00")
    machine.ran("often", "2026-01-01T01:30")
    machine.ran("often", "2026-05-31T23:30")
    assert lateness.find(machine.project, [yearly]) == []


def test_a_clock_that_stands_still_is_critical_until_it_runs_again(machine: Machine) -> None:
    machine.ran("nightly", "2026-01-10T01:05")
    machine.ran("often", "2026-01-10T02:00")
    machine.set("2026-01-10T02:34")
    assert not lateness.watch_clock(machine.project)
    machine.set("2026-01-10T02:36")
    assert lateness.watch_clock(machine.project)
    (alert,) = alerting.ongoing(machine.project)
    assert (alert.key, alert.severity) == ("clock:jobs", "critical")
    assert "no clock has started a job since 2026-01-10 02:00Z" in alert.summary
    assert lateness.problems(machine.project) == [alert.summary]
    with machine.project.read() as s:
        assert outbox.sinks_waiting(s) == []  # it was sent at once
    machine.ran("often", "2026-01-10T02:35")
    lateness.watch(machine.project)
    assert machine.open() == []


def test_whoever_runs_jobs_by_hand_has_no_clock_that_could_stop(machine: Machine) -> None:
    machine.ran("often", "2026-01-10T02:01")  # no slot
    machine.set("2026-01-11T00:00")
    assert not lateness.watch_clock(machine.project)
    assert machine.open() == []


def test_a_timetable_that_cannot_be_read_is_an_error_with_its_cause(machine: Machine) -> None:
    machine.edit("TIMETABLE = 1", "2026-01-01T00:00")
    with pytest.raises(MlkitError, match="must define TIMETABLE"):
        lateness.watch_clock(machine.project)


def test_three_bad_runs_in_a_row_are_critical(machine: Machine) -> None:
    for day in ("07", "08", "09"):
        machine.ran("nightly", f"2026-01-{day}T01:05", status="failed")
        runner._raise_alert(machine.project, "nightly", "failed", "no space")
        (alert,) = alerting.ongoing(machine.project)
        assert alert.severity == ("critical" if day == "09" else "warning")


def test_the_job_alerts_says_what_it_did(trained: Project) -> None:
    (trained.root / "jobs").symlink_to(Path(__file__).parents[2] / "jobs")
    alerts: Any = timetable.find(timetable.load(trained), "alerts")
    result = runner.run_one(trained, alerts, alerts.last_until(trained.now()))
    assert (result.status, result.summary) == ("ok", "no job is late; nothing to tell")
