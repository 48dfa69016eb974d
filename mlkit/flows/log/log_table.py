"""Convert rows of the prediction log, of any versions, into one typed Arrow table."""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.errors import DamagedError
from mlkit.flows.registry import input_schema
from mlkit.project import Session
from mlkit.steps.inputs.columns import ARROW_TYPES, InputSchema, Kind
from mlkit.steps.inputs.values import INT64_MAX, INT64_MIN
from mlkit.store import predictions
from mlkit.store.log_columns import NAMES, OWN, Column
from mlkit.store.predictions import Selection, StoredActual
from mlkit.store.registry import Model

TIME = ARROW_TYPES["datetime"]
OWN_NAMES = tuple(f"_{column.name}" for column in OWN)
_TYPES = {int: pa.int64(), str: pa.string(), datetime: TIME}
_ID, _VERSION = NAMES.index("id"), NAMES.index("version")
_rows_decoder = msgspec.json.Decoder(list[list[Any]])
_values_decoder = msgspec.json.Decoder(list[Any])
_UNFIT = (msgspec.MsgspecError, pa.ArrowException, ValueError, TypeError, OverflowError)


def label_type(schema: InputSchema) -> Any:
    """Return the Arrow type of the target: double for regression, else that of the classes."""
    if schema.task == "regression":
        return pa.float64()
    for kind, arrow in ((bool, pa.bool_()), (int, pa.int64()), (float, pa.float64())):
        if schema.classes and all(type(label) is kind for label in schema.classes):
            return arrow
    return pa.string()


def arrow_schema(schemas: Sequence[InputSchema]) -> Any:
    """Return the schema of a table that holds rows of versions with these input schemas.

    If versions disagree about a column, integer and number become double, all else text.
    """
    kinds: dict[str, Kind] = {}
    for schema in schemas:
        for column in schema.columns:
            kinds[column.name] = _common(kinds.get(column.name, column.kind), column.kind)
    labels = {label_type(schema) for schema in schemas}
    label = labels.pop() if len(labels) == 1 else pa.string()
    return pa.schema(
        [
            *((f"_{column.name}", _type(column, label)) for column in OWN),
            *((name, ARROW_TYPES[kind]) for name, kind in kinds.items()),
        ]
    )


def _type(column: Column, label: Any) -> Any:
    """Return the Arrow type of a column: ``label`` for a JSON value, doubles for a JSON list."""
    if column.json:
        return label if column.json == "value" else pa.list_(pa.float64())
    return _TYPES[column.stored.type.python_type]


def recent(s: Session, model: Model, selection: Selection) -> Iterator[pa.Table]:
    """Yield the rows of the log that are still in the database, in chunks, one type for all."""
    schemas = input_schema.by_number(model)
    target = arrow_schema(list(schemas.values()))
    for rows in predictions.logged(s, selection):
        tables = []
        for number in {row[_VERSION] for row in rows}:
            part = [row for row in rows if row[_VERSION] == number]
            tables.append(build(part, schemas[number], target))
        yield tables[0] if len(tables) == 1 else pa.concat_tables(tables).sort_by("_seq")


def build(rows: Sequence[Sequence[Any]], schema: InputSchema, target: Any) -> Any:
    """Return ``rows`` of ``COLUMNS``, all of one version, as a table with the schema ``target``.

    Raises DamagedError with the first row whose values are of a type that no release wrote.
    """
    try:
        return _build(rows, schema, target)
    except _UNFIT as error:
        if len(rows) == 1:
            raise _damaged(rows[0][_ID], error) from error
        for row in rows:
            build([row], schema, target)
        raise


def _build(rows: Sequence[Sequence[Any]], schema: InputSchema, target: Any) -> Any:
    stored = dict(zip(NAMES, zip(*rows, strict=True), strict=True))
    own = {
        f"_{column.name}": _decode(stored[column.name]) if column.json else stored[column.name]
        for column in OWN
    }
    features = zip(*_rows_decoder.decode(_array(stored["features"])), strict=True)
    values = own | dict(zip(schema.names, features, strict=True))
    return pa.table([_column(values.get(f.name), f, len(rows)) for f in target], schema=target)


def conform(table: Any, target: Any) -> Any:
    """Return ``table`` with the columns and types of ``target``; missing columns are null."""
    columns = [
        cast(table.column(field.name), field.type)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in target
    ]
    return pa.table(columns, schema=target)


def cast(column: Any, target: Any) -> Any:
    """Return ``column`` as the type ``target``."""
    if pa.types.is_string(column.type) and pa.types.is_timestamp(target):
        return pc.cast(column, target)
    return column if column.type == target else column.cast(target)


def fill(table: pa.Table, late: Sequence[StoredActual]) -> pa.Table:
    """Return ``table`` with the actuals and corrections that came after it was written."""
    if not late:
        return table
    known = pa.array([told.prediction_id for told in late], pa.string())
    places = pc.index_in(table["_id"], known)
    for name in ("_actual", "_observed_at"):
        field = table.schema.field(name)
        both = pc.coalesce(pc.take(_late_column(late, field), places), table[name])
        table = table.set_column(table.schema.get_field_index(name), field, both)
    return table


def _late_column(late: Sequence[StoredActual], field: Any) -> Any:
    if field.name == "_observed_at":
        return _column([actual.observed_at for actual in late], field, len(late))
    try:
        return _column(_decode([actual.value for actual in late]), field, len(late))
    except _UNFIT as error:
        if len(late) == 1:
            raise _damaged(late[0].prediction_id, error) from error
        for actual in late:
            _late_column([actual], field)
        raise


def join(tables: Sequence[pa.Table], model: Model) -> pa.Table:
    """Concatenate ``tables``.

    Features that no version in the rows has are left out.
    """
    whole = union(tables, model)
    schemas = input_schema.by_number(model)
    seen = set(pc.unique(whole["_version"]).to_pylist()) or set(schemas)
    used = {name for number in seen for name in schemas[number].names}
    return whole.select([name for name in whole.column_names if name in used or name in OWN_NAMES])


def union(tables: Sequence[pa.Table], model: Model) -> pa.Table:
    """Concatenate ``tables``, with the features of all versions of the model."""
    target = arrow_schema(list(input_schema.by_number(model).values()))
    return pa.concat_tables([target.empty_table(), *tables])


def _common(one: Kind, other: Kind) -> Kind:
    if one == other:
        return one
    return "number" if {one, other} == {"number", "integer"} else "category"


def _column(values: Sequence[Any] | None, field: Any, rows: int) -> Any:
    if values is None:
        return pa.nulls(rows, field.type)
    if pa.types.is_floating(field.type):
        return pa.array([None if v is None else _float(v) for v in values], field.type)
    if pa.types.is_string(field.type):
        return pa.array([_text(value) for value in values], field.type)
    if pa.types.is_integer(field.type):
        values = [min(max(v, INT64_MIN), INT64_MAX) if isinstance(v, int) else v for v in values]
    if field.name.startswith("_") or not pa.types.is_timestamp(field.type):
        return pa.array(values, field.type)
    return cast(pa.array(values, pa.string()), field.type)


def _float(value: Any) -> float:
    """Return a float; release 0.1 accepted integers beyond its range, which become infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _damaged(prediction: str, error: Exception) -> DamagedError:
    return DamagedError(
        f"prediction {prediction} in the log is not as it was recorded: {error}; restore a backup "
        "(see: mlkit backup restore)"
    )


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _decode(texts: Sequence[str | None]) -> list[Any]:
    return _values_decoder.decode(_array(["null" if text is None else text for text in texts]))


def _array(texts: Sequence[str]) -> str:
    """Join JSON ``texts`` into one array: one decoder call instead of one per row."""
    return "[" + ",".join(texts) + "]"
