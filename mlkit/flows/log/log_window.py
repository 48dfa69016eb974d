"""A window of the log that is read column by column, so that only one is in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlkit.flows.log import log_segments, log_table
from mlkit.project import Project
from mlkit.store.predictions import Selection
from mlkit.store.segments import Segment


@dataclass(frozen=True)
class Sealed:
    """The selected rows of one segment; ``kept`` is their mask, None for all rows."""

    file: Path
    metadata: Any
    names: frozenset[str]
    kept: Any | None
    rows: int

    def column(self, name: str, kind: Any) -> Any:
        """Return a column as type ``kind``, all null if the segment does not have it."""
        if name not in self.names:
            return pa.chunked_array([pa.nulls(self.rows, kind)])
        found = _read(self.file, self.metadata, name)
        return log_table.cast(found if self.kept is None else found.filter(self.kept), kind)


class LogWindow:
    """Rows of the log, in the order of ``logs.read``, without actuals.

    ``column`` reads the files anew at each call. The columns are those of ``logs.read`` besides
    ``_actual`` and ``_observed_at``.
    """

    def __init__(self, recent: pa.Table, sealed: Sequence[Sealed]) -> None:
        self._recent = recent
        self._sealed = sealed
        self.num_rows: int = recent.num_rows + sum(part.rows for part in sealed)

    @property
    def column_names(self) -> list[str]:
        """The names of the columns."""
        return list(self._recent.column_names)

    def column(self, name: str) -> Any:
        """Return the values of all rows; raises KeyError for a name that no version has."""
        pa.default_memory_pool().release_unused()  # of the last column: halves the peak
        recent = self._recent.column(name)
        found = [part.column(name, recent.type) for part in self._sealed]
        return pa.chunked_array(
            [chunk for each in (*found, recent) for chunk in each.chunks], recent.type
        )

    def parts(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the columns ``names`` of some rows at a time."""
        recent = self._recent.select(names)
        for part in self._sealed:
            columns = [part.column(field.name, field.type) for field in recent.schema]
            yield pa.table(columns, schema=recent.schema)
        yield recent


def sealed(project: Project, segment: Segment, selection: Selection, version: int | None) -> Sealed:
    """Return the selected rows of a segment; raises DamagedError."""
    file = log_segments.verified(project, segment)
    metadata = pq.read_metadata(file)
    asked = {name: _read(file, metadata, name) for name in ("_served_at", "_version")}
    kept = log_segments.mask(asked, selection, version)
    rows = pc.sum(kept).as_py() or 0
    names = frozenset(metadata.schema.to_arrow_schema().names)
    return Sealed(file, metadata, names, None if rows == metadata.num_rows else kept, rows)


def _read(file: Path, metadata: Any, name: str) -> Any:
    with pq.ParquetFile(file, metadata=metadata) as opened:
        return opened.read([name], use_threads=False).column(0)
