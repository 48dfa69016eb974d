"""Turn rows of the prediction log into one typed Arrow table, whichever versions wrote them."""

import math
from collections.abc import Iterator, Sequence
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
from mlkit.store.predictions import Logged, Selection, Told
from mlkit.store.registry import Model

TIME = ARROW_TYPES["datetime"]
_OWN = (
    ("_seq", pa.int64()),
    ("_id", pa.string()),
    ("_request_id", pa.string()),
    ("_version", pa.int64()),
    ("_role", pa.string()),
    ("_entity", pa.string()),
    ("_served_at", TIME),
    ("_latency_us", pa.int64()),
)
OWN_NAMES = (*(name for name, _ in _OWN), "_value", "_probabilities", "_actual", "_observed_at")
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

    Where two versions disagree about a column, integer and number give double, all else text.
    """
    kinds: dict[str, Kind] = {}
    for schema in schemas:
        for column in schema.columns:
            kinds[column.name] = _common(kinds.get(column.name, column.kind), column.kind)
    labels = {label_type(schema) for schema in schemas}
    label = labels.pop() if len(labels) == 1 else pa.string()
    return pa.schema(
        [
            *_OWN,
            ("_value", label),
            ("_probabilities", pa.list_(pa.float64())),
            ("_actual", label),
            ("_observed_at", TIME),
            *((name, ARROW_TYPES[kind]) for name, kind in kinds.items()),
        ]
    )


def recent(s: Session, model: Model, selection: Selection) -> Iterator[pa.Table]:
    """Yield the rows of the log that are still in the database, in chunks, one type for all."""
    schemas = input_schemas(model)
    numbers = {version.id: version.number for version in model.versions}
    target = arrow_schema(list(schemas.values()))
    for rows in predictions.logged(s, selection):
        tables = []
        for found in {row.version_id for row in rows}:
            part = [row for row in rows if row.version_id == found]
            tables.append(build(part, schemas[found], numbers[found], target))
        yield tables[0] if len(tables) == 1 else pa.concat_tables(tables).sort_by("_seq")


def input_schemas(model: Model) -> dict[int, InputSchema]:
    """Return the input schema of each version of a model, by version id."""
    return {v.id: input_schema.of(v) for v in model.versions}


def build(rows: Sequence[Logged], schema: InputSchema, version: int, target: Any) -> Any:
    """Return ``rows`` of one version as a table with the Arrow schema ``target``.

    Raises DamagedError that names the first row with values of another kind than were ever written.
    """
    try:
        return _build(rows, schema, version, target)
    except _UNFIT as error:
        if len(rows) == 1:
            raise _damaged(rows[0].id, error) from error
        for row in rows:
            build([row], schema, version, target)
        raise


def _build(rows: Sequence[Logged], schema: InputSchema, version: int, target: Any) -> Any:
    own: dict[str, Sequence[Any]] = {
        "_seq": [row.seq for row in rows],
        "_id": [row.id for row in rows],
        "_request_id": [row.request_id for row in rows],
        "_version": [version] * len(rows),
        "_role": [row.role for row in rows],
        "_entity": [row.entity for row in rows],
        "_served_at": [row.served_at for row in rows],
        "_latency_us": [row.latency_us for row in rows],
        "_value": _decode([row.value for row in rows]),
        "_probabilities": _decode([row.probabilities for row in rows]),
        "_actual": _decode([row.actual for row in rows]),
        "_observed_at": [row.observed_at for row in rows],
    }
    features = zip(*_rows_decoder.decode(_array([row.features for row in rows])), strict=True)
    values = own | dict(zip(schema.names, features, strict=True))
    return pa.table([_column(values.get(f.name), f, len(rows)) for f in target], schema=target)


def conform(table: Any, target: Any) -> Any:
    """Return ``table`` with the columns and types of ``target``; what it lacks is null."""
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


def fill(table: pa.Table, late: Sequence[Told]) -> pa.Table:
    """Return ``table`` with the actuals that came after it was written, also as corrections."""
    if not late:
        return table
    known = pa.array([told.prediction_id for told in late], pa.string())
    places = pc.index_in(table["_id"], known)
    for name in ("_actual", "_observed_at"):
        field = table.schema.field(name)
        both = pc.coalesce(pc.take(_told(late, field), places), table[name])
        table = table.set_column(table.schema.get_field_index(name), field, both)
    return table


def _told(late: Sequence[Told], field: Any) -> Any:
    if field.name == "_observed_at":
        return _column([told.observed_at for told in late], field, len(late))
    try:
        return _column(_decode([told.value for told in late]), field, len(late))
    except _UNFIT as error:
        if len(late) == 1:
            raise _damaged(late[0].prediction_id, error) from error
        for told in late:
            _told([told], field)
        raise


def join(tables: Sequence[pa.Table], model: Model) -> pa.Table:
    """Return all ``tables`` as one, one after the other.

    Features that no version in it has are left out.
    """
    whole = union(tables, model)
    names = {v.number: input_schema.of(v).names for v in model.versions}
    seen = set(pc.unique(whole["_version"]).to_pylist()) or set(names)
    used = {name for number in seen for name in names[number]}
    return whole.select([name for name in whole.column_names if name in used or name in OWN_NAMES])


def union(tables: Sequence[pa.Table], model: Model) -> pa.Table:
    """Return all ``tables`` as one, one after the other, with the features of all versions."""
    target = arrow_schema(list(input_schemas(model).values()))
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
    """Return a number; 0.1 took whole ones of any length, and what no float holds is infinite."""
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
    """Return the JSON array of JSON ``texts``: one call of the decoder instead of one per row."""
    return "[" + ",".join(texts) + "]"
