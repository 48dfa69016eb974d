"""Convert the tensors of a request to rows: one tensor with all columns, or one for each."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec
import numpy as np

from mlkit.errors import InvalidInputError
from mlkit.server.protocols import v2_binary, v2_content, v2_tensors
from mlkit.server.protocols.v2_messages import FLOATS, InferTensor, Request
from mlkit.steps.inputs.columns import Kind
from mlkit.steps.inputs.rows import Reader, Rows

_BITS: Final[dict[Any, Any]] = {0: False, 1: True}


def read(reader: Reader, request: Request, rest: bytes, max_rows: int) -> Rows | np.ndarray:
    """Return the rows of a request, as a matrix if all columns are numbers.

    ``rest`` are the bytes behind the JSON text. Raises InvalidInputError that names tensor, row and
    column, or RefusedError 413.
    """
    tensors = request.inputs
    for tensor in tensors:
        if "shared_memory_region" in (tensor.parameters or {}):
            raise InvalidInputError(f"tensor '{tensor.name[:100]}': there is no shared memory")
    v2_content.check(request)
    parts = v2_binary.split(tensors, rest)
    if len(tensors) == 1 and (len(reader.names) == 1 or not _names_a_column(reader, tensors[0])):
        return _read_single(reader, tensors[0], parts[0], max_rows)
    return _read_columns(reader, tensors, parts, max_rows)


def all_numbers(reader: Reader) -> bool:
    """Tell whether every column is a number, so that the tensor is the model's matrix."""
    return all(column.kind == "number" for column in reader.schema.columns)


def _names_a_column(reader: Reader, tensor: InferTensor) -> bool:
    return any(tensor.name == column.name for column in reader.known)


def _read_single(
    reader: Reader, tensor: InferTensor, part: bytes | None, max_rows: int
) -> Rows | np.ndarray:
    names = reader.names
    v2_tensors.count_rows(tensor, names, max_rows)
    if all_numbers(reader):
        found = v2_tensors.matrix(tensor, part, len(names))
        if found is not None:
            return found
    values = v2_tensors.values(tensor, part, names)
    columns = {name: values[place :: len(names)] for place, name in enumerate(names)}
    return _rows(reader, columns, dict.fromkeys(names, tensor.datatype))


def _read_columns(
    reader: Reader, tensors: Sequence[InferTensor], parts: Sequence[bytes | None], max_rows: int
) -> Rows:
    columns: dict[str, list[Any]] = {}
    datatypes: dict[str, str] = {}
    known = {column.name for column in reader.known}
    for tensor, part in zip(tensors, parts, strict=True):
        name = tensor.name
        if name in columns:
            raise InvalidInputError(f"the tensor '{name[:100]}' is there twice")
        if name in known:
            v2_tensors.count_rows(tensor, [name], max_rows)
            columns[name] = v2_tensors.values(tensor, part, [name])
            datatypes[name] = tensor.datatype
    if not columns:
        raise InvalidInputError(
            f"no tensor has the name of a column; send one tensor [rows, {len(reader.names)}], or "
            f"one for each of {', '.join(reader.names[:20])}"
        )
    return _rows(reader, columns, datatypes)


def _rows(reader: Reader, columns: dict[str, list[Any]], datatypes: dict[str, str]) -> Rows:
    """Return the rows of ``columns`` in canonical form; the slow reader finds what is invalid."""
    fitted = {
        column.name: _fit(column.kind, columns[column.name], datatypes[column.name])
        for column in reader.known
        if column.name in columns
    }
    lengths = {len(values) for values in fitted.values()}
    if len(fitted) == len(reader.known) and len(lengths) == 1:
        try:
            rows = list(zip(*fitted.values(), strict=True))
            return reader.typed(msgspec.convert(rows, _list_type(reader.row_type)))
        except (msgspec.ValidationError, InvalidInputError):
            pass  # the reader below names what is invalid
    return reader.columns(fitted)


def _fit(kind: Kind, values: list[Any], datatype: str) -> list[Any]:
    """Convert whole numbers of an integer column to int, 0 and 1 of a boolean one to bool."""
    if kind == "integer" and datatype in FLOATS:
        return [int(v) if v is not None and v.is_integer() else v for v in values]
    if kind == "boolean" and datatype not in ("BOOL", "BYTES"):
        return [_BITS.get(value, value) for value in values]
    return values


@lru_cache(maxsize=256)
def _list_type(row_type: type[msgspec.Struct]) -> Any:
    """Return the type of a list of rows like ``row_type``, but encoded as arrays."""
    fields = [(field.name, field.type) for field in msgspec.structs.fields(row_type)]
    return list[msgspec.defstruct("Row", fields, array_like=True, frozen=True, gc=False)]  # type: ignore[misc]  # made at run time
