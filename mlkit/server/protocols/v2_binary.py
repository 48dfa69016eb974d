"""Tensors as bytes: the binary extension of the V2 protocol, the default of NVIDIA's clients."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final

import numpy as np

from mlkit.errors import InvalidInputError
from mlkit.server.protocols.v2_messages import InferTensor

DTYPES: Final[Mapping[str, np.dtype[Any]]] = {  # little endian, by the extension
    "BOOL": np.dtype("u1"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
_LENGTH: Final = struct.Struct("<I")


def split(tensors: Sequence[InferTensor], rest: bytes) -> list[bytes | None]:
    """Return each tensor's part of ``rest``, None for one with its data in JSON.

    Raises InvalidInputError if the sizes do not add up to ``rest``.
    """
    sizes = [_size(tensor) for tensor in tensors]
    total = sum(size or 0 for size in sizes)
    if total != len(rest):
        raise InvalidInputError(
            f"{len(rest)} bytes are behind the JSON text, but the tensors' binary_data_size "
            f"make {total}"
        )
    ends = accumulate(size or 0 for size in sizes)
    return [
        None if size is None else rest[end - size : end]
        for size, end in zip(sizes, ends, strict=True)
    ]


def array(tensor: InferTensor, part: bytes, count: int) -> np.ndarray:
    """Return the ``count`` numbers of a tensor; raises InvalidInputError for another number."""
    dtype = DTYPES[tensor.datatype]
    if len(part) != count * dtype.itemsize:
        raise InvalidInputError(
            f"tensor '{tensor.name[:100]}': {len(part)} bytes, but its shape {tensor.shape} "
            f"needs {count * dtype.itemsize} in {tensor.datatype}"
        )
    found: np.ndarray = np.frombuffer(part, dtype)
    if tensor.datatype == "BOOL":
        if found.size and found.max() > 1:
            raise InvalidInputError(f"tensor '{tensor.name[:100]}': a BOOL is the byte 0 or 1")
        return found.astype(bool)
    return found


def texts(tensor: InferTensor, part: bytes, count: int) -> list[str]:
    """Return the ``count`` texts of a BYTES tensor: each is its length, then UTF-8."""
    try:
        found = [text.decode() for text in _elements(part)]
    except (ValueError, struct.error) as error:
        reason = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else "is cut off"
        raise InvalidInputError(f"tensor '{tensor.name[:100]}': a text {reason}") from error
    if len(found) != count:
        raise InvalidInputError(
            f"tensor '{tensor.name[:100]}': {len(found)} texts, but its shape {tensor.shape} "
            f"needs {count}"
        )
    return found


def pack(datatype: str, values: Sequence[Any]) -> bytes:
    """Return ``values`` as the bytes of a tensor."""
    if datatype == "BYTES":
        encoded = [value.encode() for value in values]
        return b"".join(_LENGTH.pack(len(text)) + text for text in encoded)
    return np.array(values, DTYPES[datatype]).tobytes()


def _elements(part: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(part):
        (length,) = _LENGTH.unpack_from(part, place)
        place += _LENGTH.size + length
        if place > len(part):
            raise ValueError("cut off")
        yield part[place - length : place]


def _size(tensor: InferTensor) -> int | None:
    size = (tensor.parameters or {}).get("binary_data_size")
    if size is None:
        return None
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise InvalidInputError(
            f"tensor '{tensor.name[:100]}': binary_data_size is not a number of bytes"
        )
    if tensor.data is not None:
        raise InvalidInputError(
            f"tensor '{tensor.name[:100]}': it has both data and binary_data_size"
        )
    return size
