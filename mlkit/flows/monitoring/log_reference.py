"""Make a reference of the log: of one stretch of it, or of the same hours of several weeks.

Inputs come from every version, because a deployment does not change what is asked; answers only
from the version that is judged.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.flows.log import evidence, logs
from mlkit.flows.log.evidence import Window
from mlkit.flows.registry import deploy, input_schema
from mlkit.project import Project
from mlkit.steps.drift import reference, times, weekly_effect
from mlkit.steps.drift.reference_columns import Reference, Role
from mlkit.steps.drift.weekly_effect import Placed, Seats
from mlkit.steps.inputs.columns import ARROW_TYPES, Kind
from mlkit.steps.tables import casts
from mlkit.store import registry
from mlkit.store.registry import ModelVersion

_FULL: Final = 0.5
_WHOLE: Final = 0.9  # a stretch of which a version answered less says nothing of its hours


class LogRows(NamedTuple):
    """Rows of the log of some stretches in time order, and where each of them lies."""

    table: pa.Table
    seats: Seats
    span_s: float
    windows: tuple[Window, ...]

    def where(self, kept: np.ndarray) -> "LogRows":
        """Return some of the rows."""
        return self._replace(table=self.table.filter(pa.array(kept)), seats=self.seats.of(kept))


class LogReference(NamedTuple):
    """A reference of the log; ``parts`` are the rows of columns that not all rows have."""

    known: Reference
    versions: tuple[int, ...]
    parts: Mapping[Role, LogRows]
    warnings: tuple[str, ...]


def read(project: Project, model: str, windows: Sequence[Window]) -> LogRows | None:
    """Return the champions' rows of ``windows``, each without its last moment; None if none.

    A window with far fewer rows than the fullest is left out: there was an outage, or a holiday.
    """
    found = [(each, _champions(project, model, each)) for each in windows]
    most = max((table.num_rows for _, table in found), default=0)
    full = [(each, table) for each, table in found if table.num_rows > _FULL * most]
    if not full:
        return None
    seats = Seats(
        np.repeat(np.arange(len(full)), [table.num_rows for _, table in full]),
        np.concatenate([_shares(table, each) for each, table in full]),
        len(full),
    )
    whole = pa.concat_tables([table for _, table in full], promote_options="default")
    return LogRows(
        times.stamp(whole, "_served_at"),
        seats,
        sum(evidence.span_s(table) or 0.0 for _, table in full),
        tuple(each for each, _ in full),
    )


def of_rows(
    project: Project, version: ModelVersion, rows: LogRows, *, whole: bool = True
) -> LogReference:
    """Return the reference of ``rows`` that windows of ``version`` are compared with.

    What only some of the versions know is taken from those, if there are enough rows; with
    ``whole`` only from stretches that are theirs, because half a day is no day.
    """
    known_to, seen = _features_of(project, version.model.name), _seen(rows)
    schema = deploy.input_schema(version)
    common = {c.name: c.kind for c in schema.columns if all(c.name in known_to[n] for n in seen)}
    others = {c.name: c.kind for c in schema.columns if c.name not in common}
    able = {number for number, names in known_to.items() if set(schema.names) <= names}
    parts: dict[Role, LogRows] = {}
    warnings: list[str] = []
    enough = project.settings.drift.min_rows
    newer = _answered_by(rows, able, whole=whole)
    if others and _suffices(newer, rows, enough):
        parts["input"] = newer._replace(table=_typed(newer.table, others))
    elif others:
        warnings.append(
            f"features_left_out: most rows of the reference were asked of versions that have no "
            f"{', '.join(others)}"
        )
    same = _answered_by(rows, {version.number}, whole=whole)
    if _suffices(same, rows, enough):
        parts["answer"] = same._replace(table=evidence.with_answers(version, same.table).answers)
    elif rows.table.num_rows:
        warnings.append(
            f"answers_left_out: v{version.number} answered too few rows of the reference "
            f"({same.table.num_rows} that count), so only the inputs are compared"
        )
    known = _summarize(rows, common, parts)
    return LogReference(known, tuple(sorted(seen)), parts, tuple(warnings))


def with_design_effect(
    project: Project, version: ModelVersion, rows: LogRows, made: LogReference
) -> Reference:
    """Return the reference with how much windows vary: week to week, or as ``with_training``."""
    placed = {
        name: Placed(part.table[name], part.seats)
        for part in (rows, *made.parts.values())
        for name in part.table.column_names
    }
    found = weekly_effect.weekly(made.known, placed, rows.seats.stretches)
    return found if found is not None else with_training(project, version, made.known)


def with_training(project: Project, version: ModelVersion, known: Reference) -> Reference:
    """Return ``known``, with what windows of the training data have shown if they reach further."""
    longer = evidence.reference_of(project, version).of_requests()
    if not weekly_effect.reaches_further(longer, known):
        return known
    return weekly_effect.borrow(known, longer)


def _summarize(
    rows: LogRows, kinds: Mapping[str, Kind], parts: Mapping[Role, LogRows]
) -> Reference:
    further = {role: part.table for role, part in parts.items()}
    made = reference.summarize(rows.table, kinds, further=further, ordered=True)
    return msgspec.structs.replace(made, span_s=rows.span_s or None)


def _champions(project: Project, model: str, window: Window) -> pa.Table:
    """Return what champions were asked and answered, without what no comparison needs."""
    table = logs.read(project, model, start=window.start, end=window.end)
    kept = table.filter(pc.equal(table["_role"], deploy.CHAMPION))  # a shadow answers them again
    return kept.drop_columns(
        ["_id", "_request_id", "_entity", "_latency_us", "_actual", "_observed_at"]
    )


def _shares(table: pa.Table, window: Window) -> np.ndarray:
    """Return how far into the window each row was served, 0 to 1."""
    length = (window.end - window.start) / timedelta(microseconds=1)
    start = window.start.timestamp() * 1e6
    moments = table["_served_at"].cast(pa.int64()).to_numpy().astype(float)
    return np.asarray((moments - start) / length)


def _features_of(project: Project, model: str) -> dict[int, set[str]]:
    with project.read() as s:
        row = registry.get_model(s, model)
        return {number: set(each.names) for number, each in input_schema.by_number(row).items()}


def _seen(rows: LogRows) -> set[int]:
    return set(pc.unique(rows.table["_version"]).to_pylist())


def _answered_by(rows: LogRows, versions: Collection[int], *, whole: bool) -> LogRows:
    """Return the rows that any of ``versions`` answered, of whole stretches if that is asked."""
    kept = np.isin(rows.table["_version"].to_numpy(), list(versions))
    if whole:
        place, count = rows.seats.stretch, rows.seats.stretches
        theirs = np.bincount(place[kept], minlength=count)
        kept &= (theirs >= _WHOLE * np.bincount(place, minlength=count))[place]
    return rows.where(kept)


def _suffices(part: LogRows, whole: LogRows, least: int) -> bool:
    """Tell whether a part has enough rows, and of two stretches where there are several."""
    several = whole.seats.stretches == 1 or len(np.unique(part.seats.stretch)) > 1
    return several and part.table.num_rows >= least


def _typed(rows: pa.Table, kinds: Mapping[str, Kind]) -> pa.Table:
    """Return the columns in the types of their kinds, whatever other versions made of them."""
    columns = {
        name: casts.cast(rows[name], ARROW_TYPES[kind]).column for name, kind in kinds.items()
    }
    return pa.table(columns)
