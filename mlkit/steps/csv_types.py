"""Which type the values of a CSV column have, found block by block.

It is the first rung of the ladder on which all values of the column stand: what Arrow finds when
it reads the whole file at once, for its own converters decide.
"""

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from mlkit.steps import casts
from mlkit.steps.csv_dialect import Dialect

_LADDER = (
    pa.int64(),
    pa.bool_(),
    pa.date32(),
    pa.time32("s"),
    pa.timestamp("s"),
    pa.timestamp("s", "UTC"),
    pa.timestamp("ns"),
    pa.timestamp("ns", "UTC"),
    pa.float64(),
)


@dataclass(frozen=True)
class Survey:
    """The type of each column as Arrow reads it; ``grouped`` are texts such as 1,234,567."""

    kinds: dict[str, pa.DataType]
    grouped: dict[str, pa.DataType] = field(default_factory=dict)

    def ungrouped(self, batches: Iterable[pa.Table], dialect: Dialect) -> Iterator[pa.Table]:
        """Yield ``batches`` with numbers in the grouped columns."""
        for batch in batches:
            columns = dict(zip(batch.column_names, batch.columns, strict=True))
            for name, kind in self.grouped.items():
                columns[name] = _plain(columns[name], dialect).cast(kind)
            yield pa.table(columns)


def survey(blocks: Iterable[pa.Table], dialect: Dialect, texts: Iterable[str] = ()) -> Survey:
    """Return the types of the columns of ``blocks``, which hold nothing but text.

    Of a column in ``texts`` it is text whatever the values; of one without values it is null.
    """
    rungs: dict[str, list[pa.DataType] | None] = {name: [] for name in texts}
    groups: dict[str, list[pa.DataType]] = {}
    for block in blocks:
        for name, column in zip(block.column_names, block.columns, strict=True):
            left = rungs.setdefault(name, None)
            many = groups.setdefault(name, _groups(dialect) if left is None else [])
            if (left == [] and not many) or column.null_count == len(column):
                continue
            values = pc.unique(column.drop_null())
            kinds = _LADDER if left is None else left
            rungs[name] = [kind for kind in kinds if _converts(values, kind, dialect)]
            groups[name] = [kind for kind in many if _ungroups(values, kind, dialect)]
    kinds_of = {
        name: pa.null() if left is None else next(iter(left), casts.TEXT)
        for name, left in rungs.items()
    }
    grouped = {
        name: kinds[0] for name, kinds in groups.items() if kinds and kinds_of[name] == casts.TEXT
    }
    return Survey(kinds_of, grouped)


def _groups(dialect: Dialect) -> list[pa.DataType]:
    return [] if dialect.thousands is None else [casts.INTEGER, casts.NUMBER]


def _converts(values: Any, kind: pa.DataType, dialect: Dialect) -> bool:
    """Tell whether Arrow's reader takes every one of ``values`` for ``kind``."""
    written = io.BytesIO()
    pcsv.write_csv(pa.table({"c": values}), written)
    try:
        pcsv.read_csv(
            io.BytesIO(written.getvalue()),
            read_options=pcsv.ReadOptions(use_threads=False, block_size=written.tell() + 1),
            parse_options=pcsv.ParseOptions(newlines_in_values=True),
            convert_options=pcsv.ConvertOptions(
                column_types={"c": kind}, decimal_point=dialect.decimal_point
            ),
        )
    except pa.ArrowInvalid:
        return False
    return True


def _ungroups(values: Any, kind: pa.DataType, dialect: Dialect) -> bool:
    """Tell whether every one of ``values`` is a number, its digits perhaps in groups of three."""
    mark, point = re.escape(dialect.thousands or ""), re.escape(dialect.decimal_point)
    number = rf"^\s*[+-]?(\d{{1,3}}({mark}\d{{3}})+|\d+)"
    end = rf"({point}\d*)?\s*$" if kind == casts.NUMBER else r"\s*$"
    if not pc.all(pc.match_substring_regex(values, number + end)).as_py():
        return False
    try:
        _plain(values, dialect).cast(kind)
    except pa.ArrowInvalid:
        return False
    return True


def _plain(values: Any, dialect: Dialect) -> Any:
    """Return grouped numbers as everybody writes them."""
    digits = pc.replace_substring(values, dialect.thousands or "", "")
    return pc.utf8_trim_whitespace(pc.replace_substring(digits, dialect.decimal_point, "."))
