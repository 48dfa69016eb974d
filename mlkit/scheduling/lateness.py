"""Notice that a job did not run when it was due, or that nothing starts the jobs any more.

The job ``alerts`` looks for single jobs; if the clock itself stands still, so does that job, and a
running server is the one to notice (``server.watchdog``).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from mlkit import timetable
from mlkit.flows.alerts import alerting
from mlkit.project import Project
from mlkit.settings.table import duration
from mlkit.store import alerts, runs
from mlkit.timetable import Job

CLOCK: Final = "clock:jobs"
_MISSED: Final = "missed"


class Late(NamedTuple):
    """A job, and the slot for which nothing has run it."""

    job: str
    slot: datetime

    def __str__(self) -> str:
        return f"job {self.job} did not run at {self.slot:%F %H:%MZ}, when it was due"


def find(project: Project, jobs: Sequence[Job]) -> list[Late]:
    """Return the jobs that did not run for a slot ``jobs.late_after`` ago, though a clock ticked.

    A clock ticked if any job was started between that slot and ``late_after`` ago: after downtime
    what was missed has that long to be made up for. Slots before the timetable was last edited do
    not count, nor does a job that is running.
    """
    by_now = project.now() - duration(project.settings.jobs.late_after)
    with project.read() as s:
        last = runs.last_due(s)
        busy = {run.job for run in runs.running(s)}
        ticked = runs.last_start(s, until=by_now)
    late = [Late(job.name, job.last_until(by_now)) for job in jobs if job.name not in busy]
    oldest = _reckoned_from(project)
    return [
        each
        for each in late
        if oldest < each.slot
        and ticked is not None
        and ticked >= each.slot
        and (each.job not in last or last[each.job] < each.slot)
    ]


def stopped(project: Project, jobs: Sequence[Job]) -> datetime | None:
    """Return when a clock last started a job, if it has let a slot pass since; None if it runs.

    None, too, if no clock ever did: whoever runs jobs by hand has none.
    """
    by_now = project.now() - duration(project.settings.jobs.late_after)
    known = {job.name: job for job in jobs}
    with project.read() as s:
        recent = [run for run in runs.history(s) if run.job in known]
    ticks = [run.started_at for run in recent if known[run.job].last_until(run.due) == run.due]
    if not ticks:
        return None
    last = max(ticks)
    oldest = max(last, _reckoned_from(project))
    return last if any(job.last_until(by_now) > oldest for job in jobs) else None


def watch(project: Project) -> str:
    """Open an alert for each late job, end those of jobs that are late no more; say which are."""
    jobs = timetable.load(project)
    late = find(project, jobs)
    for each in late:
        alerting.raise_alert(
            project,
            key=f"job:{each.job}",
            kind="job",
            severity="warning",
            model=None,
            summary=str(each),
            details={"job": each.job, "status": _MISSED, "slot": each.slot.isoformat()},
        )
    _end_others(project, {each.job for each in late}, {job.name for job in jobs})
    if stopped(project, jobs) is None:
        alerting.resolve(project, CLOCK, "the jobs run again")
    return f"late: {', '.join(each.job for each in late)}" if late else "no job is late"


def watch_clock(project: Project) -> bool:
    """Open an alert if nothing starts the jobs any more, or end it; tell whether it is so."""
    jobs = timetable.load(project)
    since = stopped(project, jobs)
    if since is None:
        alerting.resolve(project, CLOCK, "the jobs run again")
        return False
    alerting.raise_alert(
        project,
        key=CLOCK,
        kind="clock",
        severity="critical",
        model=None,
        summary=_standstill(since),
        details={"since": since.isoformat()},
    )
    alerting.deliver(project)
    return True


def problems(project: Project) -> list[str]:
    """Return what is wrong with the times at which jobs run, for whoever looks."""
    jobs = timetable.load(project)
    since = stopped(project, jobs)
    return [_standstill(since)] if since else [str(each) for each in find(project, jobs)]


def _standstill(since: datetime) -> str:
    return (
        f"no clock has started a job since {since:%F %H:%MZ}: nothing is checked, backed up or "
        "retrained (cron, systemd timers or the daemon are off)"
    )


def _end_others(project: Project, late: set[str], known: set[str]) -> None:
    with project.read() as s:
        found = [a for a in alerts.ongoing(s, kinds=("job",)) if a.details.get("status") == _MISSED]
    for alert in found:
        job = alert.key.partition(":")[2]
        if job not in late:
            reason = "it has run" if job in known else "it is no longer in the timetable"
            alerting.resolve(project, alert.key, reason)


def _reckoned_from(project: Project) -> datetime:
    """Return the time from which slots count: the timetable's last edit, the oldest run kept."""
    file = project.root / timetable.PACKAGE / "__init__.py"
    edited = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    return max(edited, project.now() - duration(project.settings.jobs.keep))
