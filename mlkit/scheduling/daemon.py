"""The scheduler: runs every job when it is due, and missed slots after downtime."""

import logging
import multiprocessing
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection, wait

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from mlkit import timetable
from mlkit.errors import MlkitError
from mlkit.project import Project
from mlkit.scheduling import runner
from mlkit.scheduling.runner import RunResult
from mlkit.settings.table import duration
from mlkit.timetable import Job

_JUMP_S = 60  # a larger step of the wall clock against the monotonic one is a clock change

_log = logging.getLogger(__name__)


class SlotTrigger(BaseTrigger):  # type: ignore[misc]  # apscheduler has no type hints
    """The slots of a job by the timetable, whose definition holds for every scheduler."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return the first slot after the last one."""
        return self.job.next_after(previous_fire_time or now)


def run(project: Project) -> None:
    """Run the jobs of the project until SIGTERM or SIGINT, which also stop running jobs.

    Raises BusyError if this project already has a daemon.
    """
    with project.lock("daemon", busy="this project has a daemon already; one is enough"):
        jobs = timetable.load(project)
        runner.reap(project)
        stop, stopper = multiprocessing.Pipe(duplex=False)  # once closed, readable in every thread
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopper.close())
        scheduler = _scheduler(project, jobs, stop)
        scheduler.start()
        _log.info("running %d jobs; next: %s", len(jobs), _next_slot(project, jobs))
        try:
            _watch(project, jobs, scheduler, stop)
        finally:
            stopper.close()
            scheduler.shutdown()
            _log.info("stopped")


def _scheduler(project: Project, jobs: Sequence[Job], stop: Connection) -> BackgroundScheduler:
    """Return the scheduler: first the missed slots one by one, then each job at its slots."""
    scheduler = BackgroundScheduler(
        timezone=UTC,
        jobstores={"default": MemoryJobStore()},
        executors={"default": ThreadPoolExecutor(len(jobs) + 1)},
        job_defaults={
            "coalesce": True,
            "max_instances": 1,
            "misfire_grace_time": int(duration(project.settings.jobs.catch_up).total_seconds()),
        },
    )
    scheduler.add_job(_run_missed, args=(project, jobs, stop), id="missed slots")
    for job in jobs:
        trigger = SlotTrigger(job)
        scheduler.add_job(_run_slot, trigger, args=(project, job, stop), id=job.name)
    return scheduler


def _watch(
    project: Project, jobs: Sequence[Job], scheduler: BackgroundScheduler, stop: Connection
) -> None:
    """Until ``stop``: find lost runs, and wake the scheduler after a suspend or a clock change.

    The scheduler waits for a wall-clock time. After a suspend it would wake too late, and after the
    clock was set back nothing would be due until the old time is reached again.
    """
    offset = _wall_minus_monotonic(project)
    while not wait([stop], project.settings.jobs.heartbeat_s):
        with _logged("the search for lost runs"):
            runner.reap(project)
        moved = _wall_minus_monotonic(project) - offset
        offset += moved
        if moved < -_JUMP_S:
            _log.warning("the clock went back by %.0f s; planning anew", -moved)
            for job in jobs:
                scheduler.reschedule_job(job.name, trigger=SlotTrigger(job))
        scheduler.wakeup()


def _run_slot(project: Project, job: Job, stop: Connection) -> None:
    with _logged(f"job {job.name}"):
        _log_result(runner.run_one(project, job, job.last_until(project.now()), stop=stop))


def _run_missed(project: Project, jobs: Sequence[Job], stop: Connection) -> None:
    with _logged("catching up"):
        for result in runner.run_missed(project, jobs, stop=stop):
            _log_result(result)


def _log_result(result: RunResult) -> None:
    if result.ran:
        level = logging.ERROR if result.failed else logging.INFO
        _log.log(level, "job %s %s: %s", result.job, result.status, result.summary)


@contextmanager
def _logged(what: str) -> Iterator[None]:
    """Log any error; the daemon survives it and tries again."""
    try:
        yield
    except MlkitError as error:
        _log.error("%s: %s", what, error)
    except Exception:  # noqa: BLE001  # a missing table, a full disk: none may stop all jobs
        _log.exception("%s", what)


def _next_slot(project: Project, jobs: Sequence[Job]) -> str:
    slots = sorted((job.next_after(project.now()), job.name) for job in jobs)
    return f"{slots[0][1]} at {slots[0][0]:%Y-%m-%d %H:%M} UTC" if slots else "none"


def _wall_minus_monotonic(project: Project) -> float:
    return project.now().timestamp() - time.monotonic()
