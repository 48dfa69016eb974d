"""Convert one tensor to a flat list of values, checked against its shape and datatype."""

import re
from collections.abc import Sequence
from itertools import chain
from typing import Annotated, Any, Final

import msgspec
import numpy as np

from mlkit.errors import InvalidInputError
from mlkit.server import wire
from mlkit.server.protocols import v2_binary, v2_content
from mlkit.server.protocols.v2_messages import FLOATS, InferTensor, NumericTensor

_UINT64_MAX: Final = 2**64 - 1
_INDEX: Final = re.compile(r" - at `\$\[(\d+)\]`$")


def _integers(name: str) -> Any:
    limits = np.iinfo(v2_binary.DTYPES[name])
    return Annotated[int, msgspec.Meta(ge=int(limits.min), le=int(limits.max))]


def _floats(name: str) -> Any:
    limit = float(np.finfo(v2_binary.DTYPES[name]).max)
    return Annotated[float, msgspec.Meta(ge=-limit, le=limit)]


_TYPES: Final[dict[str, Any]] = {
    "BOOL": bool,
    **{
        name: _integers(name)
        for name in ("UINT8", "UINT16", "UINT32", "INT8", "INT16", "INT32", "INT64")
    },
    "UINT64": Annotated[int, msgspec.Meta(ge=0)],  # msgspec's limits end at INT64
    **{name: _floats(name) for name in FLOATS},
    "BYTES": str,
}
_LISTS: Final = {name: list[kind | None] for name, kind in _TYPES.items()}  # type: ignore[valid-type]


def count_rows(tensor: InferTensor, names: Sequence[str], max_rows: int) -> int:
    """Return the number of rows of a tensor with the columns ``names``, from its shape alone.

    Raises InvalidInputError for a wrong shape, or RefusedError 413, before any memory is taken.
    """
    shape, width = tensor.shape, len(names)
    if not (len(shape) == 2 and shape[1] == width) and not (len(shape) == 1 and width == 1):
        raise _unfit(tensor, f"its shape {_shown(shape)} must be {_expected(names)}")
    if not shape[0]:
        raise _unfit(tensor, f"its shape {_shown(shape)} has no rows; send at least one")
    wire.refuse_many(shape[0], max_rows)
    return shape[0]


def matrix(tensor: InferTensor, part: bytes | None, width: int) -> np.ndarray | None:
    """Return a tensor of valid shape as a float64 matrix of shape (rows, width).

    None if ``values`` is needed: a value is missing, invalid, or not a floating point number.
    """
    if tensor.datatype not in FLOATS:
        return None
    if part is not None:
        found = v2_binary.array(tensor, part, tensor.shape[0] * width)
    elif isinstance(tensor, NumericTensor):
        found = _numbers(flat(tensor, width))
    else:
        return None
    limit = float(np.finfo(v2_binary.DTYPES[tensor.datatype]).max)
    numbers = found.astype(float)
    fits = numbers.ndim == 1 and (np.abs(numbers) <= limit).all()  # NaN does not
    return numbers.reshape(-1, width) if fits else None


def values(tensor: InferTensor, part: bytes | None, names: Sequence[str]) -> list[Any]:
    """Return the values of a tensor of valid shape, row by row.

    ``part`` are its bytes, None if its data are JSON. Missing values (``null``, or NaN in bytes)
    are None. Raises InvalidInputError.
    """
    if tensor.datatype not in _TYPES:
        known = ", ".join(_TYPES)
        raise _unfit(tensor, f"the datatype {tensor.datatype[:40]} is none of {known}")
    found = _plain(tensor, part, names)
    if not v2_content.is_coded(tensor):
        return found
    texts, wrong = v2_content.decoded(found)
    if wrong is not None:
        raise _unfit_at(tensor, names, wrong, "no base64 of a UTF-8 text")
    return texts


def _plain(tensor: InferTensor, part: bytes | None, names: Sequence[str]) -> list[Any]:
    if part is not None:
        return _of_bytes(tensor, part, names)
    found = flat(tensor, len(names))
    try:
        converted: list[Any] = msgspec.convert(found, _LISTS[tensor.datatype])
    except msgspec.ValidationError as error:
        raise _located(tensor, names, str(error)) from error
    if tensor.datatype == "UINT64":
        _refuse_above_uint64(tensor, names, converted)
    return converted


def flat(tensor: InferTensor, width: int) -> list[Any]:
    """Return JSON data without their nesting; raises InvalidInputError."""
    data = tensor.data
    if data is None:
        raise _unfit(tensor, "it has neither data nor binary_data_size")
    count = tensor.shape[0] * width
    if len(tensor.shape) == 2 and data and isinstance(data[0], list):
        if len(data) != tensor.shape[0] or {len(_row(tensor, row)) for row in data} != {width}:
            raise _unfit(tensor, f"its data do not have the shape {_shown(tensor.shape)}")
        return list(chain.from_iterable(data))  # type: ignore[arg-type]  # _row checked each
    if len(data) != count:
        raise _unfit(
            tensor, f"{len(data)} data, but its shape {_shown(tensor.shape)} needs {count}"
        )
    return data


def refuse_infinite(tensor: InferTensor, names: Sequence[str], found: np.ndarray) -> None:
    """Raise InvalidInputError if a number is infinite."""
    infinite = np.isinf(found)
    if infinite.any():
        index = int(np.argmax(infinite))
        raise _unfit_at(tensor, names, index, f"{found[index]} is not a finite number")


def _numbers(data: list[Any]) -> np.ndarray:
    """Return ``data`` as an array, two-dimensional (and thus refused) if it has nested lists."""
    try:
        return np.array(data, dtype=float)
    except ValueError:  # lists of several lengths
        return np.empty((0, 0))


def _of_bytes(tensor: InferTensor, part: bytes, names: Sequence[str]) -> list[Any]:
    count = tensor.shape[0] * len(names)
    if tensor.datatype == "BYTES":
        return list(v2_binary.texts(tensor, part, count))
    found = v2_binary.array(tensor, part, count)
    plain: list[Any] = found.tolist()
    if tensor.datatype in FLOATS and not np.isfinite(found).all():
        refuse_infinite(tensor, names, found)
        return [None if value != value else value for value in plain]  # NaN
    return plain


def _row(tensor: InferTensor, row: object) -> list[Any]:
    if not isinstance(row, list):
        raise _unfit(tensor, "some of its data are lists and some are not")
    return row


def _refuse_above_uint64(tensor: InferTensor, names: Sequence[str], found: Sequence[Any]) -> None:
    for index, value in enumerate(found):
        if value is not None and value > _UINT64_MAX:
            raise _unfit_at(tensor, names, index, f"expected `int` <= {_UINT64_MAX}")


def _located(tensor: InferTensor, names: Sequence[str], text: str) -> InvalidInputError:
    """Return msgspec's error about an element of a list, with its row and column."""
    index = _INDEX.search(text)
    if index is None:
        return _unfit(tensor, text)
    problem = f"{text[0].lower()}{text[1 : index.start()]} for {tensor.datatype}"
    return _unfit_at(tensor, names, int(index[1]), problem)


def _unfit_at(
    tensor: InferTensor, names: Sequence[str], index: int, problem: str
) -> InvalidInputError:
    row, place = divmod(index, len(names))
    details = {"problems": [{"row": row, "column": names[place], "problem": problem}]}
    where = f"tensor '{tensor.name[:100]}', row {row}, column '{names[place]}'"
    return InvalidInputError(f"{where}: {problem}", details)


def _unfit(tensor: InferTensor, problem: str) -> InvalidInputError:
    return InvalidInputError(f"tensor '{tensor.name[:100]}': {problem}")


def _shown(shape: Sequence[int]) -> str:
    return f"[{', '.join(map(str, shape[:8]))}{', ...' if len(shape) > 8 else ''}]"


def _expected(names: Sequence[str]) -> str:
    return "[rows] or [rows, 1]" if len(names) == 1 else f"[rows, {len(names)}]"
