"""Hive partitioning, columns in folder names: ``sales/region=EU/part-0.parquet``."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa

from mlkit.errors import InvalidInputError
from mlkit.steps.tables import dtypes

_MISSING = "__HIVE_DEFAULT_PARTITION__"
_WHOLE = re.compile(r"^(0|-?[1-9]\d{0,17})$")


@dataclass(frozen=True)
class Partitions:
    """The type of each partition column, and its value in each file."""

    types: Mapping[str, pa.DataType] = field(default_factory=dict)
    values: Mapping[Path, Mapping[str, str | None]] = field(default_factory=dict)

    def added(self, table: pa.Table, path: Path) -> pa.Table:
        """Return the rows of a file with its partition columns appended."""
        for name, kind in self.types.items():
            value = self.values[path][name]
            known = int(value) if value is not None and kind == dtypes.INTEGER else value
            table = table.append_column(name, pa.repeat(pa.scalar(known, kind), table.num_rows))
        return table

    def refuse_twins(self, names: Sequence[str], path: Path) -> None:
        """Raise InvalidInputError if a file has a partition column as well."""
        twins = [name for name in self.types if name in names]
        if twins:
            raise InvalidInputError(
                f"{path} has a column '{twins[0]}', and so have the names of its folders; leave "
                "one of them out"
            )


def partitions(
    folder: Path, files: Sequence[Path], wanted: Mapping[str, pa.DataType]
) -> Partitions:
    """Return the partition columns in the paths from ``folder`` to its ``files``.

    Values are integers if all are written so and ``wanted`` is not text, else text. Raises
    InvalidInputError unless all files have the same partition columns.
    """
    values = {file: _of(file.relative_to(folder).parts[:-1]) for file in files}
    first, *others = files
    for file in others:
        if list(values[file]) != list(values[first]):
            raise InvalidInputError(
                f"{first} and {file} are not below the same columns: "
                f"{_shown(values[first])} and {_shown(values[file])}"
            )
    return Partitions(
        {
            name: _kind([found[name] for found in values.values()], wanted.get(name))
            for name in values[first]
        },
        values,
    )


def _of(folders: Sequence[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for folder in folders:
        name, equals, value = folder.partition("=")
        if equals and name:
            name = _plain(name, folder)
            if name in found:
                raise InvalidInputError(
                    f"the folders {'/'.join(folders)} name the column '{name}' twice; "
                    "leave one of them out"
                )
            found[name] = None if value == _MISSING else _plain(value, folder)
    return found


def _plain(text: str, folder: str) -> str:
    """Decode a value in a folder name; raises InvalidInputError."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f"what the folder '{folder}' has in percent signs is not UTF-8; rename it"
        ) from error


def _kind(values: Sequence[str | None], wanted: pa.DataType | None) -> pa.DataType:
    known = [value for value in values if value is not None]
    whole = known and wanted != dtypes.TEXT and all(_WHOLE.match(value) for value in known)
    return dtypes.INTEGER if whole else dtypes.TEXT


def _shown(found: Mapping[str, str | None]) -> str:
    return ", ".join(found) or "none"
