"""Show and export the prediction log."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from mlkit.errors import InvalidInputError
from mlkit.flows.log import imports
from mlkit.flows.registry import input_schema
from mlkit.project import Project
from mlkit.settings.table import duration
from mlkit.steps.inputs.columns import InputSchema
from mlkit.store import log_columns, predictions, registry
from mlkit.store.disk.blobs import write_durably

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")  # first characters of spreadsheet formulas


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What was written, and where."""

    model: str
    rows: int
    file: Path


def show(project: Project, model_name: str, *, limit: int = 20) -> list[dict[str, Any]]:
    """Return the last ``limit`` predictions that are not sealed yet, newest first.

    Each has the columns of the log by name.
    """
    imports.sync(project)
    with project.read() as s:
        model = registry.get_model(s, model_name)
        schemas = input_schema.by_number(model)
        rows = map(log_columns.decoded, predictions.newest(s, model.id, limit))
        return [_shown(row, schemas[row["version"]]) for row in rows]


def export(
    project: Project,
    model_name: str,
    file: Path,
    *,
    since: str | None = None,
    until: str | None = None,
    for_excel: bool = False,
) -> Exported:
    """Write the log of a model, sealed rows included, to a CSV or Parquet file.

    ``since`` and ``until`` are ISO dates or times (UTC), or ages such as ``7d``. ``for_excel`` puts
    an apostrophe before text that a spreadsheet would run as a formula.
    """
    import pyarrow.csv as pv
    import pyarrow.parquet as pq

    from mlkit.flows.log import logs

    kind = file.suffix.lower()
    if kind not in (".csv", ".parquet"):
        raise InvalidInputError(f"'{file.name}' ends in neither .csv nor .parquet")
    table = logs.read(
        project, model_name, start=moment(project, since), end=moment(project, until)
    ).drop_columns(["_seq"])
    table = table.rename_columns(_public_names(table.column_names))
    buffer = io.BytesIO()
    if kind == ".csv":
        pv.write_csv(_flat(table, for_excel=for_excel), buffer)
    else:
        pq.write_table(table, buffer, compression="zstd")
    write_durably(file, buffer.getvalue())
    return Exported(model=model_name, rows=table.num_rows, file=file)


def moment(project: Project, text: str | None) -> datetime | None:
    """Return the time that ``text`` names: an ISO date or time, UTC if it says nothing, or an age.

    Raises InvalidInputError.
    """
    if text is None:
        return None
    if text[-1:] in "mhdw" and text[:-1].isdigit():
        return project.now() - duration(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(
            f"'{text}' is no time; write for example 2026-05-01, 2026-05-01T12:00:00Z or 7d"
        ) from error
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _shown(row: dict[str, Any], schema: InputSchema) -> dict[str, Any]:
    """Return ``row`` for display, with the names of features and probabilities."""
    shares = row["probabilities"]
    named = None if shares is None else dict(zip(schema.labels, shares, strict=True))
    features = dict(zip(schema.names, row["features"], strict=True))
    del row["seq"]
    return row | {"features": features, "probabilities": named}


def _public_names(names: Sequence[str]) -> list[str]:
    """Return the column names, ours without the underscore unless a feature has that name."""
    taken = {name for name in names if not name.startswith("_")}
    return [name[1:] if name.startswith("_") and name[1:] not in taken else name for name in names]


def _flat(table: Any, *, for_excel: bool) -> Any:
    """Return ``table`` for CSV: probabilities as JSON text, spreadsheet formulas escaped."""
    import pyarrow as pa

    for place, field in enumerate(table.schema):
        column = table.column(place)
        if pa.types.is_list(field.type):
            texts = [None if v is None else msgspec.json.encode(v).decode() for v in
                     column.to_pylist()]  # fmt: skip
            table = table.set_column(place, field.name, pa.array(texts, pa.string()))
        elif for_excel and pa.types.is_string(field.type):
            texts = [_defused(text) for text in column.to_pylist()]
            table = table.set_column(place, field.name, pa.array(texts, pa.string()))
    if for_excel:
        table = table.rename_columns([str(_defused(name)) for name in table.column_names])
    return table


def _defused(text: str | None) -> str | None:
    return f"'{text}" if text is not None and text.startswith(_FORMULA_STARTS) else text
