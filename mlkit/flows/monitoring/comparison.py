"""Compare two files of anybody's; no project, no record."""

import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.errors import InvalidInputError
from mlkit.progress import Progress, silent
from mlkit.provenance import Stated
from mlkit.settings import sources
from mlkit.steps.drift import detection, times
from mlkit.steps.drift.detection import DriftRule
from mlkit.steps.drift.result import FeatureDrift, RowCounts, Verdict
from mlkit.steps.reading import csv_dialect, frames
from mlkit.steps.tables import casts, dtypes


class FilesCompared(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on a file; ``drifted`` names the features, the worst first."""

    verdict: Verdict
    features: tuple[FeatureDrift, ...]
    rows: RowCounts
    warnings: tuple[str, ...]
    drifted: tuple[str, ...]
    alpha: float
    summary: str


def compare_files(
    reference: Path,
    current: Path,
    *,
    time: str | None = None,
    stated: Stated | None = None,
    overrides: Mapping[str, object] = MappingProxyType({}),
    progress: Progress | None = None,
) -> FilesCompared:
    """Return the verdict on the rows of ``current``, by the settings' defaults and environment.

    ``stated`` is how CSV files are written; ``overrides`` are settings that go before both. With a
    ``time`` column the rows of both are taken in its order. Raises InvalidInputError.
    """
    settings = sources.load(None, os.environ, overrides)
    _refuse_two_encodings(reference, current, stated)
    first = frames.read_table(reference, stated=stated)
    second = frames.read_table(current, frames.column_types(first), stated)
    spans_s: tuple[float | None, float | None] = (None, None)
    if time is not None:
        first, second = _timed(first, time, reference), _timed(second, time, current)
        _require_likeness(first, second, time)
        spans_s = _span_s(first, time), _span_s(second, time)
        first, second = (_in_order(table, time) for table in (first, second))
    rule = DriftRule.from_settings(settings.drift, ordered=time is not None)
    result = detection.compare_tables(first, second, rule, spans_s=spans_s)
    if settings.drift.joint:
        from mlkit.flows.monitoring import joint_drift  # scikit-learn, which the margins do without

        how = joint_drift.How(rule, spans_s, settings.train.seed, progress or silent)
        result = joint_drift.of_tables(first, second, result, how)
    return FilesCompared(
        verdict=result.verdict,
        features=result.features,
        rows=result.rows,
        warnings=(*([] if time else _untold(first, second)), *result.warnings),
        drifted=result.drifted,
        alpha=result.alpha,
        summary=result.summary,
    )


def _refuse_two_encodings(reference: Path, current: Path, stated: Stated | None) -> None:
    """Raise InvalidInputError if what is said of both files is true of one of them only."""
    if stated is None or stated.encoding is None:
        return
    in_utf8 = [file for file in (reference, current) if csv_dialect.is_utf8(file, stated.encoding)]
    if len(in_utf8) == 1:
        raise InvalidInputError(
            f"{in_utf8[0]} is UTF-8, and --encoding {stated.encoding} is said of both files; write "
            "them in the same encoding"
        )


def _untold(first: pa.Table, second: pa.Table) -> Iterator[str]:
    """Yield a hint if a column looks like the time of the rows: without gaps, its range moved on.

    Compared like a feature it would drift for ever.
    """
    for name in (name for name in first.column_names if name in second.column_names):
        old, new = first.column(name), second.column(name)
        whole = old.null_count + new.null_count == 0
        if (
            whole
            and old.type == new.type == dtypes.DATETIME
            and pc.max(new).as_py() > pc.max(old).as_py()
        ):
            yield (
                f"'{name}' is compared like any feature; if it is the time of the rows, "
                f"say --time {name}"
            )
            return


def _in_order(table: pa.Table, name: str) -> pa.Table:
    """Return the rows in order of column ``name``, which is no feature but their time."""
    return times.stamp(table.sort_by(name), name).drop_columns([name])


def _span_s(table: pa.Table, name: str) -> float | None:
    """Return the seconds from the first row to the last; of a time that is a number, its units."""
    extremes = pc.min_max(table.column(name)).as_py()
    spanned = extremes["max"] - extremes["min"]
    return float(spanned.total_seconds() if isinstance(spanned, timedelta) else spanned)


def _timed(table: pa.Table, name: str, file: Path) -> pa.Table:
    """Return ``table`` with the times in column ``name`` as times or numbers; none may be missing.

    Raises InvalidInputError.
    """
    if name not in table.column_names:
        known = ", ".join(table.column_names[:20])
        raise InvalidInputError(f"{file} has no column '{name}'; it has: {known}")
    column = table.column(name)
    wanted = column.type if column.type in (dtypes.NUMBER, dtypes.INTEGER) else dtypes.DATETIME
    found = casts.cast(column, wanted)
    if found.unfit_count or found.column.null_count:
        example = [one.value for one in found.unfit[:1]]
        told = f"values like {example[0]!r}" if example else "rows without a value"
        raise InvalidInputError(
            f"the column '{name}' of {file} has {told}, so it does not order the rows in time; "
            "name a column of dates, times or numbers"
        )
    return table.set_column(table.schema.get_field_index(name), name, found.column)


def _require_likeness(first: pa.Table, second: pa.Table, name: str) -> None:
    dates = {table.column(name).type == dtypes.DATETIME for table in (first, second)}
    if len(dates) > 1:
        raise InvalidInputError(
            f"the column '{name}' has dates in one file and numbers in the other; write it alike"
        )
