"""What a window is compared with: training data, earlier stretches of the log, a named baseline."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

import msgspec

from mlkit.flows.log import evidence
from mlkit.flows.log.evidence import Window
from mlkit.flows.monitoring import baselines, log_reference
from mlkit.project import Project, Session
from mlkit.steps.drift.reference import Reference
from mlkit.store import audit, deployments, reports, segments
from mlkit.store.registry import ModelVersion

ReferenceKind = Literal["training", "previous", "seasonal", "baseline"]

_WEEK: Final = timedelta(weeks=1)
_MOST: Final = 4  # stretches of a seasonal reference: more add little, and are less like today


class ReferenceUsed(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows a window was compared with; ``start`` and ``end`` are those of rows of the log.

    ``name`` is what ``drift.reference`` calls it; of a seasonal one there are several ``weeks``.
    """

    kind: ReferenceKind
    name: str
    start: datetime | None = None
    end: datetime | None = None
    rows: int
    weeks: int | None = None

    @property
    def in_words(self) -> str:
        """The rows, their time and the choice, for example of the previous window."""
        if self.start is None or self.end is None:
            return f"{self.rows} rows ({self.name})"
        days = f"{self.start:%F %H:%MZ} to {self.end:%F %H:%MZ}"
        of = "baseline " if self.kind == "baseline" else ""
        weeks = f", {self.weeks} weeks" if self.weeks else ""
        return f"{self.rows} rows of {days} ({of}{self.name}{weeks})"


class Chosen(NamedTuple):
    """A reference, what is on record of it, and what it leaves out."""

    used: ReferenceUsed
    known: Reference
    warnings: tuple[str, ...] = ()


def choose(project: Project, version: ModelVersion, window: Window, name: str) -> Chosen:
    """Return the reference called ``name`` for a window of ``version``.

    Raises NotFoundError if it is the name of no baseline.
    """
    if name == "training":
        known = evidence.reference_of(project, version).of_requests()
        used = ReferenceUsed(kind="training", name=name, rows=known.rows)
        return Chosen(used, known)
    if name == "previous":
        before = _previous(_served(project, version, window))
        return _of_log(project, version, "previous", [before])
    if name == "seasonal":
        return _of_log(project, version, "seasonal", _weeks(project, version, window))
    found = baselines.load(project, version, name)
    used = ReferenceUsed(
        kind="baseline",
        name=name,
        start=found.row.window_start,
        end=found.row.window_end,
        rows=found.row.rows,
    )
    return Chosen(used, found.known, found.warnings)


def audit_change(s: Session, project: Project, version: ModelVersion, used: ReferenceUsed) -> None:
    """Record if standing checks of the model compare with something else than the last one did.

    A changed setting leaves no other trace. The reports of old were all about training data.
    """
    last = reports.latest_drift(s, version.model)
    before = "training"
    if last is not None:
        before = last.details.get("reference", {}).get("name", before)
    if before == used.name:
        return
    audit.record(
        s,
        project.now(),
        actor=project.actor,
        action="reference",
        subject=version.model.name,
        details={"from": before, "to": used.name},
    )


def _of_log(
    project: Project,
    version: ModelVersion,
    name: Literal["previous", "seasonal"],
    windows: Sequence[Window],
) -> Chosen:
    rows = log_reference.read(project, version.model.name, windows)
    if rows is None:
        known = Reference(rows=0, columns=())
        said = f"no_reference: the log has no rows for '{name}'"
        return Chosen(ReferenceUsed(kind=name, name=name, rows=0), known, (said,))
    made = log_reference.of_rows(project, version, rows)
    used = ReferenceUsed(
        kind=name,
        name=name,
        start=rows.windows[0].start,
        end=rows.windows[-1].end,
        rows=rows.table.num_rows,
        weeks=len(rows.windows) if name == "seasonal" else None,
    )
    return Chosen(
        used, log_reference.with_design_effect(project, version, rows, made), made.warnings
    )


def _served(project: Project, version: ModelVersion, window: Window) -> Window:
    """Return the window from where the version took over, if another one served at its start.

    What the version was asked in the second half of a day is no match for a whole day.
    """
    with project.read() as s:
        past = deployments.of_model(s, version.model)
    before = [each for each in past if each.started_at <= window.start]
    first = before[-1] if before else None
    if first is None or first.model_version_id == version.id:
        return window
    since = [each.started_at for each in past if each.model_version_id == version.id]
    start = min((at for at in since if at > window.start), default=window.start)
    return Window(start=start, end=window.end)


def _previous(window: Window) -> Window:
    return Window(start=window.start - (window.end - window.start), end=window.start)


def _weeks(project: Project, version: ModelVersion, window: Window) -> list[Window]:
    """Return the same stretch of time of the weeks before, the oldest first, that the log has."""
    window = _served(project, version, window)
    step = -(-(window.end - window.start) // _WEEK) * _WEEK or _WEEK
    with project.read() as s:
        oldest = segments.oldest(s, version.model_id)
    found = [
        Window(start=window.start - number * step, end=window.end - number * step)
        for number in range(_MOST, 0, -1)
    ]
    return [each for each in found if oldest is not None and each.start >= oldest]
