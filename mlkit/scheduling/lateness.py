"""Find jobs that did not run when they were due, and a scheduler that has stopped.

The job ``alerts`` checks the other jobs. If the scheduler (cron, systemd, daemon) has stopped, that
job does not run either; a running server notices it (``server.watchdog``).
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
    """A job, and the slot at which it should have run."""

    job: str
    slot: datetime

    def __str__(self) -> str:
        return f"job {self.job} did not run at {self.slot:%F %H:%MZ}, when it was due"


def find(project: Project, jobs: Sequence[Job]) -> list[Late]:
    """Return the jobs that missed a slot at least ``jobs.late_after`` ago while a scheduler ran.

    A scheduler ran if it started any job between that slot and ``late_after`` ago; so after
    downtime there is this much time to catch up. Slots before the last edit of the timetable do not
    count, nor do jobs that are running.
    """
    by_now = project.now() - duration(project.settings.jobs.late_after)
    with project.read() as s:
        last = runs.last_due(s)
        busy = {run.job for run in runs.running(s)}
        started = runs.last_start(s, until=by_now)
    late = [Late(job.name, job.last_until(by_now)) for job in jobs if job.name not in busy]
    oldest = _counted_since(project)
    return [
        each
        for each in late
        if oldest < each.slot
        and started is not None
        and started >= each.slot
        and (each.job not in last or last[each.job] < each.slot)
    ]


def stopped(project: Project, jobs: Sequence[Job]) -> datetime | None:
    """Return when the scheduler last started a job if it has missed a slot since, else None.

    None, too, if no scheduler has ever started a job: then jobs are run by hand.
    """
    by_now = project.now() - duration(project.settings.jobs.late_after)
    known = {job.name: job for job in jobs}
    with project.read() as s:
        recent = [run for run in runs.history(s) if run.job in known]
    starts = [run.started_at for run in recent if known[run.job].last_until(run.due) == run.due]
    if not starts:
        return None
    last = max(starts)
    oldest = max(last, _counted_since(project))
    return last if any(job.last_until(by_now) > oldest for job in jobs) else None


def watch(project: Project) -> str:
    """Raise an alert for each late job, resolve those of the others, and return a summary."""
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
    """Raise an alert if the scheduler has stopped, else resolve it; tell whether it has stopped."""
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
        summary=_stopped_text(since),
        details={"since": since.isoformat()},
    )
    alerting.deliver(project)
    return True


def problems(project: Project) -> list[str]:
    """Return a sentence for each late job, or the one that the scheduler has stopped."""
    jobs = timetable.load(project)
    since = stopped(project, jobs)
    return [_stopped_text(since)] if since else [str(each) for each in find(project, jobs)]


def _stopped_text(since: datetime) -> str:
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


def _counted_since(project: Project) -> datetime:
    """Return since when slots count: the timetable's last edit or ``jobs.keep`` ago, if later."""
    file = project.root / timetable.PACKAGE / "__init__.py"
    edited = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    return max(edited, project.now() - duration(project.settings.jobs.keep))
