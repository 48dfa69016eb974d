"""Run one job once for one due time: claim it, run it in a child process, record the result.

All schedulers (daemon, cron, systemd) and runs by hand end here; a slot that two of them start runs
once.
"""

import functools
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from mlkit import timetable
from mlkit.errors import BusyError
from mlkit.flows.alerts import alerting, policy
from mlkit.project import Project
from mlkit.scheduling import supervisor
from mlkit.scheduling.child import FAILED, LOST, OK, STOPPED, JobResult, RunSpec
from mlkit.scheduling.supervisor import Heartbeat
from mlkit.settings.table import duration
from mlkit.store import runs
from mlkit.store.disk import failpoints, processes
from mlkit.store.runs import JobRun
from mlkit.timetable import Job

_log = logging.getLogger(__name__)

_MISSED_BEATS = 30  # heartbeats, after which a runner on another host counts as lost


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """One run; ``ran`` is false if an earlier call has claimed the due time before."""

    job: str
    due: datetime
    status: str
    summary: str
    ran: bool
    started_at: datetime
    ended_at: datetime | None
    duration_s: float | None
    output: Path

    @property
    def failed(self) -> bool:
        """Whether this call ran the job and it failed; stopped on request is not a failure."""
        return self.ran and self.status not in (OK, STOPPED)


def run_one(
    project: Project, job: Job, due: datetime, *, stop: Connection | None = None
) -> RunResult:
    """Run ``job`` for the due time, unless that has been run before, and return the result.

    A failed run raises the alert ``job:<name>``, the next successful one resolves it; a run stopped
    on request does neither. ``stop`` ends the run as soon as it is readable. Raises BusyError while
    an earlier run of the same job is in progress; the due time is then not claimed.
    """
    reap(project)
    run, ran = _claim(project, job.name, due)
    if not ran:
        return _result(project, run, ran=False)
    failpoints.reach("job.claimed")
    report = JobResult(FAILED, "the runner was interrupted")
    began = time.monotonic()
    try:
        report = _execute(project, run, stop)
    except (KeyboardInterrupt, SystemExit):
        report = JobResult(STOPPED, "stopped, because its runner was told to stop")
        raise
    finally:
        ended = _finish(project, run, report, duration_s=time.monotonic() - began)
        _update_alert(project, ended)
    return _result(project, ended, ran=True)


def run_missed(
    project: Project, jobs: Sequence[Job], *, stop: Connection | None = None
) -> Iterator[RunResult]:
    """Run, one after another, each job whose last slot was missed, for that slot.

    Slots older than ``jobs.catch_up`` stay missed; of several missed slots only the last is run.
    """
    for job in missed(project, jobs):
        with suppress(BusyError):  # another scheduler has just started it
            yield run_one(project, job, job.last_until(project.now()), stop=stop)


def missed(project: Project, jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs whose last slot is within ``jobs.catch_up`` and that have not run since.

    A run by hand counts too. Slots before the job or the project was created do not count.
    """
    now = project.now()
    oldest = now - duration(project.settings.jobs.catch_up)
    appeared = timetable.appeared(project)
    with project.read() as s:
        ran = runs.last_due(s)
    slots = [(job, job.last_until(now)) for job in jobs]
    return [job for job, slot in slots if slot >= oldest and slot > ran.get(job.name, appeared)]


def reap(project: Project) -> list[JobRun]:
    """Mark the runs whose runner has died as lost, and raise an alert for each."""
    with project.read() as s:
        vanished = [run for run in runs.running(s) if _has_vanished(project, run)]
    lost = []
    for run in vanished:
        if run.child is not None:
            processes.kill_group(run.child)
        report = JobResult(LOST, f"its runner vanished after {run.heartbeat_at:%Y-%m-%d %H:%M:%SZ}")
        with project.write() as s:
            if runs.finish(s, run.id, report.status, report.summary, project.now()):
                lost.append(run)
    for run in lost:
        _raise_alert(project, run.job, LOST, "its runner vanished (killed, or the machine went)")
    if lost:
        alerting.deliver(project)
    return lost


def history(project: Project, job: str | None, *, limit: int) -> list[RunResult]:
    """Return the newest runs of one job or of all, newest first."""
    with project.read() as s:
        found = runs.history(s, job, limit=limit)
    return [_result(project, run, ran=True) for run in found]


def output_file(project: Project, job: str, due: datetime) -> Path:
    """Return the file with the output of the run."""
    stamp = due.strftime("%Y%m%dT%H%M%S") + (f".{due.microsecond:06}" if due.microsecond else "")
    return project.log_dir / "jobs" / job / f"{stamp}Z.log"


def _has_vanished(project: Project, run: JobRun) -> bool:
    state = processes.state(run.runner)
    if state == "elsewhere":
        timeout = timedelta(seconds=_MISSED_BEATS * project.settings.jobs.heartbeat_s)
        return project.now() - run.heartbeat_at > timeout
    return state == "gone"


def _claim(project: Project, job: str, due: datetime) -> tuple[JobRun, bool]:
    """Return the run of the due time, and whether this call has claimed it."""
    with project.write() as s:
        found = runs.find(s, job, due)
        if found is not None:
            return found, False
        for other in runs.running(s, job):
            raise BusyError(
                f"job '{job}' is still running since {other.started_at:%Y-%m-%d %H:%M:%SZ}; "
                "try again when it has ended (see: mlkit job history)"
            )
        run = runs.claim(s, job, due, runner=processes.identity(), now=project.now())
        if run is not None:
            return run, True
    with project.read() as s:  # another runner has claimed it between find and claim
        winner = runs.find(s, job, due)
    if winner is None:
        raise BusyError(f"job '{job}' was claimed and given back at once; try again")
    return winner, False


def _execute(project: Project, run: JobRun, stop: Connection | None) -> JobResult:
    limits = project.settings.jobs
    output = output_file(project, run.job, run.due)
    return supervisor.execute(
        RunSpec(project, run.job, output, dict(os.environ)),
        deadline_s=limits.deadline_s,
        grace_s=limits.grace_s,
        heartbeat=Heartbeat(limits.heartbeat_s, functools.partial(_beat, project, run.id)),
        stop=stop,
    )


def _beat(project: Project, run_id: int, pid: int) -> None:
    try:
        with project.write() as s:
            runs.beat(s, run_id, project.now(), child=processes.identity(pid))
    except Exception as error:  # noqa: BLE001  # the next beat tries again; none may end a run
        _log.warning("a running job could not be marked alive: %s", error)


def _finish(project: Project, run: JobRun, report: JobResult, *, duration_s: float) -> JobRun:
    with project.write() as s:
        runs.finish(s, run.id, report.status, report.summary, project.now(), duration_s=duration_s)
    with project.read() as s:
        return s.get_one(JobRun, run.id)


def _update_alert(project: Project, run: JobRun) -> None:
    if run.status == OK:
        alerting.resolve(project, f"job:{run.job}", f"ran well: {run.summary}")
    elif run.status != STOPPED:
        _raise_alert(project, run.job, run.status, run.summary)
    alerting.deliver(project)


def _raise_alert(project: Project, job: str, status: str, summary: str) -> None:
    with project.read() as s:
        found = [run.status for run in runs.history(s, job, limit=5)]
    last = [status for status in found if status not in (runs.RUNNING, STOPPED)]
    alerting.raise_alert(
        project,
        key=f"job:{job}",
        kind="job",
        severity=policy.severity_of_runs(last),
        model=None,
        summary=f"job {job} {status}: {summary}",
        details={"job": job, "status": status},
    )


def _result(project: Project, run: JobRun, *, ran: bool) -> RunResult:
    return RunResult(
        job=run.job,
        due=run.due,
        status=run.status,
        summary=run.summary,
        ran=ran,
        started_at=run.started_at,
        ended_at=run.ended_at,
        duration_s=run.duration_s,
        output=output_file(project, run.job, run.due),
    )
