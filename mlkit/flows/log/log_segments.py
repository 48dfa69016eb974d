"""Files of sealed segments: write one, read one, find predictions in them."""

import io
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlkit.errors import DamagedError
from mlkit.flows.log import log_table
from mlkit.project import Project
from mlkit.store import predictions, segments
from mlkit.store.base import id_time, new_id
from mlkit.store.disk import modes
from mlkit.store.disk.blobs import file_digest, write_durably
from mlkit.store.predictions import Selection
from mlkit.store.segments import Segment


def verified(project: Project, segment: Segment) -> Path:
    """Return the file of a segment; raises DamagedError if its digest has changed."""
    file = project.root / segment.path
    if not file.is_file():
        raise DamagedError(f"{file} is missing; restore a backup (see: mlkit backup restore)")
    if file_digest(file) != segment.sha256:
        raise DamagedError(
            f"{file} does not have the bytes that were sealed; "
            "restore a backup (see: mlkit backup restore)"
        )
    return file


def load(project: Project, segment: Segment) -> pa.Table:
    """Return the rows of a segment; raises DamagedError if its digest has changed."""
    return pq.read_table(verified(project, segment))


def glance(
    project: Project, segment: Segment, rows: int
) -> list[tuple[str, datetime, datetime | None]]:
    """Return id, serving time and observation time of the first ``rows`` rows; none if it is gone.

    The digest is not checked: use it for statistics only, not for evaluation.
    """
    file = project.root / segment.path
    if not file.is_file():
        return []
    with pq.ParquetFile(file) as opened:
        columns = ["_id", "_served_at", "_observed_at"]
        batch = next(opened.iter_batches(batch_size=rows, columns=columns), None)
        found = [] if batch is None else [column.to_pylist() for column in batch.columns]
    return list(zip(*found, strict=True)) if found else []


def choose(table: pa.Table, selection: Selection, version: int | None) -> pa.Table:
    """Return the rows of a segment that match ``selection`` and ``version``."""
    return table.filter(mask(table, selection, version))


def mask(columns: Any, selection: Selection, version: int | None) -> Any:
    """Return the mask of matching rows, by the columns ``_served_at`` and ``_version``."""
    times = columns["_served_at"]
    keep = pc.is_valid(times)
    if selection.start is not None:
        keep = pc.and_(keep, pc.greater_equal(times, _moment(selection.start)))
    if selection.end is not None:
        keep = pc.and_(keep, pc.less(times, _moment(selection.end)))
    if version is not None:
        keep = pc.and_(keep, pc.equal(columns["_version"], version))
    return keep


def write(project: Project, model: str, selection: Selection, table: pa.Table) -> Segment:
    """Write ``table``, rows of one day, to a new file and return the row that names it."""
    day = f"{selection.start:%Y-%m-%d}"
    folder = project.log_dir / model / day
    modes.make_folder(folder)
    file = folder / f"{new_id(project.now())}.parquet"
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    write_durably(file, buffer.getvalue())
    times = pc.min_max(table["_served_at"]).as_py()
    places = pc.min_max(table["_seq"]).as_py()
    return Segment(
        model_id=selection.model_id,
        day=day,
        path=str(file.relative_to(project.root)),
        sha256=file_digest(file),
        rows=table.num_rows,
        min_seq=places["min"],
        max_seq=places["max"],
        min_time=times["min"],
        max_time=times["max"],
        created_at=project.now(),
    )


def ids(project: Project, segment: Segment) -> list[str]:
    """Return the ids of the predictions in a segment; none if its file is gone."""
    file = project.root / segment.path
    if not file.is_file():
        return []
    return list(pq.read_table(file, columns=["_id"])["_id"].to_pylist())


def versions(project: Project, segment: Segment) -> dict[int, int]:
    """Return how many rows of each model version a segment has; none if its file is gone."""
    file = project.root / segment.path
    if not file.is_file():
        return {}
    counts = pc.value_counts(pq.read_table(file, columns=["_version"])["_version"])
    return {each["values"]: each["counts"] for each in counts.to_pylist()}


def find_row(project: Project, prediction_id: str) -> tuple[int, dict[str, Any]] | None:
    """Return version id and row of a sealed prediction, or None."""
    day = _day_of(prediction_id)
    with project.read() as s:
        for segment in [] if day is None else segments.of_day(s, day):
            table = load(project, segment)
            found = table.filter(pc.equal(table["_id"], prediction_id)).to_pylist()
            if found:
                numbers = predictions.version_numbers(s, segment.model_id)
                return numbers[found[0]["_version"]], found[0]
    return None


def rows_between(project: Project, first_id: str, last_id: str) -> list[dict[str, Any]]:
    """Return the sealed rows of one request by first and last id, in request order."""
    day = _day_of(first_id)
    found: list[dict[str, Any]] = []
    with project.read() as s:
        for segment in [] if day is None else segments.of_day(s, day):
            table = load(project, segment)
            ids = table["_id"]
            mine = pc.and_(pc.greater_equal(ids, first_id), pc.less_equal(ids, last_id))
            own = [name for name in table.column_names if name in log_table.OWN_NAMES]
            found += table.filter(mine).select(own).to_pylist()
    return sorted(found, key=lambda row: str(row["_id"]))


class Located(NamedTuple):
    """The version that answered a sealed prediction, and the actual that was sealed with it."""

    version_id: int
    actual: Any | None
    observed_at: datetime | None


def locate(project: Project, ids: Sequence[str]) -> dict[str, Located]:
    """Find the sealed predictions in ``ids``, each with its version and actual.

    An id contains its creation time, so only the segments of that day are opened.
    """
    by_day: dict[str, list[str]] = {}
    for identifier in ids:
        day = _day_of(identifier)
        if day is not None:
            by_day.setdefault(day, []).append(identifier)
    found: dict[str, Located] = {}
    with project.read() as s:
        for day, wanted in by_day.items():
            for segment in segments.of_day(s, day):
                numbers = predictions.version_numbers(s, segment.model_id)
                for row in _find(load(project, segment), wanted):
                    found[row["_id"]] = Located(
                        numbers[row["_version"]], row["_actual"], row["_observed_at"]
                    )
    return found


def _day_of(prediction_id: str) -> str | None:
    try:
        return f"{id_time(prediction_id):%Y-%m-%d}"
    except (ValueError, OverflowError):  # not an id made by mlkit
        return None


def _find(table: pa.Table, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return id, version number and actual of the rows with these ids."""
    found = table.filter(pc.is_in(table["_id"], value_set=pa.array(ids, pa.string())))
    rows: list[dict[str, Any]] = found.select(
        ["_id", "_version", "_actual", "_observed_at"]
    ).to_pylist()
    return rows


def _moment(at: datetime) -> pa.Scalar:
    return pa.scalar(at, pa.timestamp("us", tz="UTC"))
