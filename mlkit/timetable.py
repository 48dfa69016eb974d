"""Jobs, the slots at which they are due, and the timetable in the ``jobs`` folder of a project.

Running a job is in ``scheduling.runner``, cron and systemd in ``scheduling.units``.
"""

import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import msgspec
from cronsim import CronSim, CronSimError

from mlkit import names
from mlkit.errors import InvalidInputError, MlkitError, NotFoundError, Stopped, unknown
from mlkit.flows.doctor.findings import Finding, fail, ok
from mlkit.project import Project
from mlkit.store import runs

PACKAGE = "jobs"

_TERM = r"(\d+|(\*|\d+-\d+)(/\d+)?)"
_NUMBERS = re.compile(rf"{_TERM}(,{_TERM})*")
_STEPPED = re.compile(r"(\d+)-(\d+)/")
_DAY = "(MON|TUE|WED|THU|FRI|SAT|SUN)"
_WEEKDAYS = re.compile(rf"\*|{_DAY}(-{_DAY})?(,{_DAY}(-{_DAY})?)*")


@dataclass(frozen=True)
class Job:
    """A named function of a project and the UTC times at which it is due.

    ``at`` is a five-field cron expression: minute, hour, day of month, month, weekday. Weekdays are
    names (MON-FRI), and a day of month must not be combined with one: schedulers disagree about the
    numbers of weekdays and about the combination (cron: "or", others: "and"). Raises
    InvalidInputError.
    """

    name: str
    run: Callable[[Project], str]
    at: str

    def __post_init__(self) -> None:
        names.check("job", self.name)
        _check(self.name, self.at)

    def next_after(self, moment: datetime) -> datetime:
        """Return the first slot later than ``moment``.

        >>> Job("drift", run=str, at="30 2 * * MON").next_after(datetime(2026, 1, 1, tzinfo=UTC))
        datetime.datetime(2026, 1, 5, 2, 30, tzinfo=datetime.timezone.utc)
        """
        return next(CronSim(self.at, moment.astimezone(UTC)))

    def last_until(self, moment: datetime) -> datetime:
        """Return the last slot that is not later than ``moment``; ``--due slot`` runs this one.

        >>> Job("drift", run=str, at="*/15 * * * *").last_until(datetime(2026, 1, 1, tzinfo=UTC))
        datetime.datetime(2026, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)
        """
        whole = moment.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        return next(CronSim(self.at, whole, reverse=True))


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """A job of the timetable with its next slot and its last run."""

    job: str
    at: str
    next: datetime
    due: datetime | None
    status: str | None
    summary: str | None
    ended_at: datetime | None


def load(project: Project) -> tuple[Job, ...]:
    """Return ``TIMETABLE`` of the package ``jobs`` in the project folder.

    Raises NotFoundError without the package, InvalidInputError for one that cannot be imported.
    """
    table = getattr(_import(project.root), "TIMETABLE", None)
    if not isinstance(table, tuple) or not all(isinstance(job, Job) for job in table):
        raise InvalidInputError(
            f"{project.root / PACKAGE / '__init__.py'} must define TIMETABLE, a tuple of Job(...)"
        )
    listed = [job.name for job in table]
    for name in listed:
        if listed.count(name) > 1:
            raise InvalidInputError(f"two jobs are named '{name}' in the timetable; rename one")
    return table


def check(project: Project) -> Iterator[Finding]:
    """Check that the timetable can be loaded, for ``doctor``."""
    if not (project.root / PACKAGE).exists():
        yield ok("there is none")
        return
    try:
        yield ok(f"{len(load(project))} jobs in the timetable")
    except MlkitError as error:
        yield fail(f"{error}; no job runs", f"mend {project.root / PACKAGE}")


def appeared(project: Project) -> datetime:
    """Return since when these jobs exist: the timetable's last edit or the project's creation."""
    files = (project.root / PACKAGE / "__init__.py", project.state_dir / "key")
    edited = [file.stat().st_mtime for file in files if file.exists()]
    return datetime.fromtimestamp(max(edited, default=0.0), UTC)


def find(jobs: tuple[Job, ...], name: str) -> Job:
    """Return the job of that name; raises NotFoundError with the names that exist."""
    for job in jobs:
        if job.name == name:
            return job
    raise unknown("job", name, [job.name for job in jobs], "mlkit job list")


def plan(project: Project) -> tuple[Planned, ...]:
    """Return the jobs in the order of the timetable, each with its next slot and last run."""
    jobs = load(project)
    with project.read() as s:
        last = {job.name: runs.latest(s, job.name) for job in jobs}
    return tuple(_planned(job, last[job.name], project.now()) for job in jobs)


def due_time(project: Project, job: Job, text: str | None) -> datetime:
    """Return the due time: now for None, the last slot for ``slot``, else ``text`` as ISO time."""
    if text is None:
        return project.now()
    if text == "slot":
        return job.last_until(project.now())
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(
            f"'{text}' is no due time; write 'slot' or a time such as 2026-01-31T02:30Z"
        ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _planned(job: Job, last: runs.JobRun | None, now: datetime) -> Planned:
    return Planned(
        job=job.name,
        at=job.at,
        next=job.next_after(now),
        due=last.due if last else None,
        status=last.status if last else None,
        summary=last.summary if last else None,
        ended_at=last.ended_at if last else None,
    )


def _check(name: str, at: str) -> None:
    fields = at.upper().split()
    if len(fields) != 5:
        raise InvalidInputError(
            f"job '{name}': '{at}' has {len(fields)} fields; a time has five: "
            "minute hour day-of-month month weekday"
        )
    *numbers, weekday = fields
    for field in numbers:
        stepped = (span.groups() for span in _STEPPED.finditer(field))
        # schedulers disagree about 5/10, and cronsim reads 5-5/10 as 5-59/10
        if not _NUMBERS.fullmatch(field) or any(int(a) >= int(b) for a, b in stepped):
            raise InvalidInputError(f"job '{name}': cannot read '{field}' in '{at}'")
    if not _WEEKDAYS.fullmatch(weekday):
        raise InvalidInputError(
            f"job '{name}': cannot read the weekday '{weekday}' in '{at}'; write names such as "
            "MON-FRI or SAT,SUN (clocks disagree about numbers)"
        )
    if fields[2] != "*" and weekday != "*":
        raise InvalidInputError(
            f"job '{name}': '{at}' names a day of month and a weekday; cron would read 'or', other "
            "clocks 'and': use one of them, or two jobs"
        )
    try:
        next(CronSim(at, datetime(2000, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration) as error:
        raise InvalidInputError(f"job '{name}': '{at}' is never due ({error})") from error


def _import(root: Path) -> ModuleType:
    """Import the package of this project afresh, not one that another project has imported."""
    package = root / PACKAGE / "__init__.py"
    if not package.is_file():
        raise NotFoundError(
            f"{package} is missing; copy the folder from a new project (mlkit init)"
        )
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]
    if str(root) not in sys.path:
        sys.path.append(str(root))  # last: a file of the user must not shadow a library
    importlib.invalidate_caches()
    try:
        return _execute(package)
    except (InvalidInputError, Stopped):
        raise
    except (Exception, SystemExit) as error:  # the user's own code may raise anything
        raise InvalidInputError(
            f"cannot import {root / PACKAGE}: {type(error).__name__}: {error}"
        ) from error


def _execute(package: Path) -> ModuleType:
    """Execute the package by its file, so that another ``jobs`` on the path is not found."""
    spec = importlib.util.spec_from_file_location(
        PACKAGE, package, submodule_search_locations=[str(package.parent)]
    )
    if spec is None or spec.loader is None:
        raise InvalidInputError(f"{package} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = module
    spec.loader.exec_module(module)
    return module
