"""Job runs: a claim by a unique row, a heartbeat while it runs, the recorded result."""

from datetime import datetime

from sqlalchemy import Index, String, Text, UniqueConstraint, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from mlkit.store.base import Base, UtcDateTime, changed

RUNNING = "running"


class JobRun(Base):
    """One run of one job for one due time.

    ``status`` is running, ok, failed, timeout, oom (memory limit), lost (its process vanished) or
    stopped (on request). ``duration_s`` is measured by a monotonic clock; a lost run has none.
    """

    __tablename__ = "job_run"
    __table_args__ = (UniqueConstraint("job", "due"), Index(None, "status"))

    id: Mapped[int] = mapped_column(primary_key=True)
    job: Mapped[str] = mapped_column(String(64))
    due: Mapped[datetime] = mapped_column(UtcDateTime)
    status: Mapped[str] = mapped_column(String(16))
    summary: Mapped[str] = mapped_column(Text, default="")
    runner: Mapped[str]
    child: Mapped[str | None]
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    heartbeat_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    duration_s: Mapped[float | None]


def claim(s: Session, job: str, due: datetime, *, runner: str, now: datetime) -> JobRun | None:
    """Claim the due time for this runner; None if another runner has claimed it."""
    run = JobRun(
        job=job,
        due=due,
        status=RUNNING,
        runner=runner,
        started_at=now,
        heartbeat_at=now,
        summary="",
    )
    try:
        with s.begin_nested():
            s.add(run)
    except IntegrityError:
        return None
    return run


def find(s: Session, job: str, due: datetime) -> JobRun | None:
    """Return the run of the job for that due time, or None."""
    return s.scalar(select(JobRun).where(JobRun.job == job, JobRun.due == due))


def running(s: Session, job: str | None = None) -> list[JobRun]:
    """Return the runs that have not ended, of one job or of all."""
    query = select(JobRun).where(JobRun.status == RUNNING)
    if job is not None:
        query = query.where(JobRun.job == job)
    return list(s.scalars(query.order_by(JobRun.id)))


def latest(s: Session, job: str) -> JobRun | None:
    """Return the run of the job that was started last, or None."""
    return s.scalars(select(JobRun).where(JobRun.job == job).order_by(JobRun.id.desc())).first()


def history(s: Session, job: str | None = None, *, limit: int = 20) -> list[JobRun]:
    """Return the newest runs, newest first."""
    query = select(JobRun).order_by(JobRun.id.desc()).limit(limit)
    return list(s.scalars(query if job is None else query.where(JobRun.job == job)))


def last_due(s: Session) -> dict[str, datetime]:
    """Return the latest due time that each job was run for."""
    rows = s.execute(select(JobRun.job, func.max(JobRun.due)).group_by(JobRun.job))
    return {job: due for job, due in rows if due is not None}


def last_start(s: Session, *, until: datetime) -> datetime | None:
    """Return the last start of any job at or before ``until``."""
    query = select(JobRun.started_at).where(JobRun.started_at <= until)
    return s.scalars(query.order_by(JobRun.id.desc()).limit(1)).first()


def beat(s: Session, run_id: int, now: datetime, *, child: str) -> None:
    """Record a heartbeat of the run, which runs in the process ``child``."""
    s.execute(
        update(JobRun)
        .where(JobRun.id == run_id, JobRun.status == RUNNING)
        .values(heartbeat_at=now, child=child)
    )


def finish(
    s: Session,
    run_id: int,
    status: str,
    summary: str,
    now: datetime,
    *,
    duration_s: float | None = None,
) -> bool:
    """End a running run and return whether this call ended it."""
    running = update(JobRun).where(JobRun.id == run_id, JobRun.status == RUNNING)
    ended = {"status": status, "summary": summary, "ended_at": now, "duration_s": duration_s}
    return changed(s, running.values(ended)) == 1


def prune(s: Session, before: datetime) -> int:
    """Delete the records of runs that ended before ``before``; return how many."""
    return changed(s, delete(JobRun).where(JobRun.ended_at < before))


def last_successes(s: Session) -> dict[str, datetime]:
    """Return the time of the last success of each job, by name."""
    query = select(JobRun.job, func.max(JobRun.ended_at)).where(JobRun.status == "ok")
    return {job: ended for job, ended in s.execute(query.group_by(JobRun.job)) if ended}


def jobs(s: Session) -> list[str]:
    """Return the names of all jobs that ever ran."""
    return list(s.scalars(select(JobRun.job).distinct().order_by(JobRun.job)))


def newest_start(s: Session) -> datetime | None:
    """Return the start time of the newest run."""
    return s.scalar(select(func.max(JobRun.started_at)))
