"""What a model is to be asked with, as its training table shows it."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import replace

from mlkit.errors import InvalidInputError
from mlkit.steps.inputs.columns import Column, InputSchema, Kind, Task
from mlkit.steps.inputs.encode import convert

MAX_CATEGORIES: Final = 254  # HistGradientBoosting bins a category into at most 255, one is missing


def infer_schema(
    table: pa.Table,
    *,
    target: str,
    task: Task,
    ignore: Collection[str] = (),
    like: InputSchema | None = None,
) -> InputSchema:
    """Return the input schema that ``table`` shows: every column but the target and ``ignore``.

    A column that ``like`` (the champion's schema) lets be null or fractional stays so: clients
    rely on it.
    """
    earlier = {column.name: column for column in like.columns} if like else {}
    columns = infer_columns(table, ignore={target, *ignore}, earlier=earlier)
    if not columns:
        raise InvalidInputError(f"there is no column besides the target '{target}' to learn from")
    classes = table.column(target).drop_null().unique().to_pylist()
    return InputSchema(
        columns=columns,
        target=target,
        task=task,
        classes=tuple(sorted(classes)) if task == "classification" else (),
    )


def infer_columns(
    table: pa.Table,
    *,
    ignore: Collection[str] = (),
    earlier: Mapping[str, Column] = MappingProxyType({}),
) -> tuple[Column, ...]:
    """Return the input columns that ``table`` shows: all but ``ignore``."""
    return tuple(
        _infer_column(name, table.column(name), earlier.get(name))
        for name in table.column_names
        if name not in ignore
    )


def relaxed(schema: InputSchema, names: Collection[str] | None = None) -> InputSchema:
    """Return ``schema`` with the columns ``names`` allowed to be null.

    Without names it is every column: for evaluation, not for clients.
    """
    columns = tuple(
        replace(column, nullable=True) if names is None or column.name in names else column
        for column in schema.columns
    )
    return replace(schema, columns=columns)


def _infer_column(name: str, values: pa.ChunkedArray, earlier: Column | None) -> Column:
    kind = _kind(name, values.type)
    if earlier is not None and (earlier.kind, kind) == ("number", "integer"):
        kind = "number"
    clean = convert(values, kind)
    limits = {}
    if kind in ("number", "integer") and clean.null_count < len(clean):
        extremes = pc.min_max(clean).as_py()
        limits = {"minimum": float(extremes["min"]), "maximum": float(extremes["max"])}
    return Column(
        name=name,
        kind=kind,
        nullable=clean.null_count > 0 or (earlier is not None and earlier.nullable),
        categories=_frequent(clean) if kind == "category" else (),
        **limits,
    )


def _kind(name: str, found: pa.DataType) -> Kind:
    if pa.types.is_boolean(found):
        return "boolean"
    if pa.types.is_integer(found):
        return "integer"
    if pa.types.is_floating(found) or pa.types.is_null(found):
        return "number"
    if pa.types.is_timestamp(found):
        return "datetime"
    if pa.types.is_string(found) or pa.types.is_large_string(found):
        return "category"
    raise InvalidInputError(f"column '{name}' has the type {found}, which no model takes")


def _frequent(values: pa.ChunkedArray) -> tuple[str, ...]:
    """Return the most frequent values first; one seen a single time teaches nothing."""
    counts = pc.value_counts(values.drop_null())
    pairs = zip(counts.field("counts").to_pylist(), counts.field("values").to_pylist(), strict=True)
    repeated = sorted((-count, value) for count, value in pairs if count > 1)
    return tuple(value for _, value in repeated[:MAX_CATEGORIES])
