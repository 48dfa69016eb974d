"""Named baselines: make one of a stretch of the log, list them, remove them, compare with one."""

from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from mlkit import names
from mlkit.errors import ConflictError, InvalidInputError
from mlkit.flows.data import version_files
from mlkit.flows.log import log_export
from mlkit.flows.log.evidence import Window
from mlkit.flows.monitoring import log_reference
from mlkit.flows.registry import deploy
from mlkit.project import Project, Session
from mlkit.settings.table import duration
from mlkit.steps.drift import reference
from mlkit.steps.drift.reference import Reference
from mlkit.store import audit, baselines, registry
from mlkit.store.baselines import Baseline
from mlkit.store.disk import failpoints
from mlkit.store.registry import ModelVersion

RESERVED: Final = ("training", "previous", "seasonal")


class BaselineInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A baseline; ``answers_of`` is the version whose answers are in it, ``used`` by a setting."""

    model: str
    name: str
    start: datetime
    end: datetime
    rows: int
    versions: list[int]
    answers_of: int | None
    sha256: str
    created_by: str
    created_at: datetime
    used: bool
    warnings: tuple[str, ...] = ()


class Loaded(NamedTuple):
    """A baseline as a reference for one version."""

    row: Baseline
    known: Reference
    warnings: tuple[str, ...]


def add(project: Project, model: str, name: str, window: Window) -> BaselineInfo:
    """Keep what the log's rows of ``window`` look like as the baseline ``name``.

    Raises ConflictError if there is one of this name, or no champion; InvalidInputError if the
    name may not be used or the window has too few rows; BusyError while somebody is erased.
    """
    if names.check("baseline", name) in RESERVED:
        raise InvalidInputError(f"'{name}' means something else already; choose another name")
    with version_files.used(project):
        return _add(project, model, name, window)


def _add(project: Project, model: str, name: str, window: Window) -> BaselineInfo:
    version = deploy.find_version(project, model)
    with project.read() as s:
        _refuse_existing(baselines.find(s, version.model, name))
    least = project.settings.drift.min_rows
    rows = log_reference.read(project, model, [window])
    found = 0 if rows is None else rows.table.num_rows
    if rows is None or found < least:
        raise InvalidInputError(
            f"the log of {model} has {found} rows of that time, {least} are needed "
            f"(see: mlkit log show {model})"
        )
    made = log_reference.of_rows(project, version, rows, whole=False)
    sha256 = project.references.put(reference.dump(made.known))
    failpoints.reach("baseline.stored")
    row = Baseline(
        model_id=version.model_id,
        name=name,
        window_start=window.start,
        window_end=window.end,
        rows=found,
        versions=list(made.versions),
        answers_of=version.number if "answer" in made.parts else None,
        sha256=sha256,
        created_by=project.actor,
        created_at=project.now(),
    )
    with project.write() as s:
        registry.lock(s, version.model)
        _refuse_existing(baselines.find(s, version.model, name))
        row.model = registry.get_model(s, model)
        s.add(row)
        _record(project, s, "baseline-add", row)
        return _info(project, row, made.warnings)


def window(project: Project, *, length: str | None, start: str | None, end: str | None) -> Window:
    """Return the stretch of the last ``length``, or from ``start`` to ``end``.

    Raises InvalidInputError if these are no times, or the end is not after the start.
    """
    now = project.now()
    if length is not None:
        return Window(start=now - duration(length), end=now)
    first, last = (log_export.moment(project, text) for text in (start, end))
    last = min(last or now, now)
    if first is None or first >= last:
        raise InvalidInputError(f"the start {start} is not before the end {last:%FT%TZ}")
    return Window(start=first, end=last)


def list_baselines(project: Project, model: str | None = None) -> list[BaselineInfo]:
    """Return the baselines of one model or of all; raises NotFoundError for an unknown model."""
    with project.read() as s:
        found = (
            baselines.list_all(s)
            if model is None
            else baselines.of_model(s, registry.get_model(s, model))
        )
        return [_info(project, row) for row in found]


def remove(project: Project, model: str, name: str) -> BaselineInfo:
    """Forget a baseline; its file goes with the next pruning.

    Raises NotFoundError, and ConflictError if it is what drift checks compare with.
    """
    with project.write() as s:
        row = baselines.get(s, registry.get_model(s, model), name)
        done = _info(project, row)
        if done.used:
            raise ConflictError(
                f"drift checks of {model} compare with the baseline '{name}'; set drift.reference "
                f"(or drift_reference of [models.{model}]) in mlkit.toml to another one first"
            )
        s.delete(row)
        _record(project, s, "baseline-remove", row)
    return done


def load(project: Project, version: ModelVersion, name: str) -> Loaded:
    """Return the baseline of the version's model as far as it is one for this version.

    Raises NotFoundError with the baselines that exist.
    """
    with project.read() as s:
        row = baselines.get(s, version.model, name)
    known = reference.load(project.references.read(row.sha256))
    inputs = set(deploy.input_schema(version).names)
    theirs = row.answers_of == version.number
    kept = tuple(
        profile
        for profile in known.columns
        if (profile.column in inputs if profile.role == "input" else theirs)
    )
    known = msgspec.structs.replace(known, columns=kept)
    shown = log_reference.with_training(project, version, known)
    return Loaded(row, shown, tuple(_lacks(row, version, inputs - {p.column for p in kept})))


def _lacks(row: Baseline, version: ModelVersion, missing: set[str]) -> list[str]:
    said = []
    if missing:
        listed = ", ".join(sorted(missing))
        said.append(f"features_left_out: the baseline '{row.name}' has no {listed}")
    if row.answers_of != version.number:
        said.append(
            f"answers_left_out: the baseline '{row.name}' has no answers of v{version.number}, so "
            "only the inputs are compared"
        )
    return said


def _refuse_existing(row: Baseline | None) -> None:
    if row is not None:
        raise ConflictError(
            f"there is a baseline '{row.name}' of {row.model.name} already; choose another name, "
            f"or first: mlkit drift baseline remove {row.model.name} {row.name}"
        )


def _info(project: Project, row: Baseline, warnings: tuple[str, ...] = ()) -> BaselineInfo:
    return BaselineInfo(
        model=row.model.name,
        name=row.name,
        start=row.window_start,
        end=row.window_end,
        rows=row.rows,
        versions=row.versions,
        answers_of=row.answers_of,
        sha256=row.sha256,
        created_by=row.created_by,
        created_at=row.created_at,
        used=project.settings.drift_reference(row.model.name) == row.name,
        warnings=warnings,
    )


def _record(project: Project, s: Session, action: str, row: Baseline) -> None:
    audit.record(
        s,
        project.now(),
        actor=project.actor,
        action=action,
        subject=row.model.name,
        details={
            "name": row.name,
            "start": row.window_start.isoformat(),
            "end": row.window_end.isoformat(),
            "rows": row.rows,
            "sha256": row.sha256,
        },
    )
