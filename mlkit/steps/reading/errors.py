"""Convert Arrow's errors about a bad file to errors that an operator can fix."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from mlkit.errors import InvalidInputError

T = TypeVar("T")
_REFUSALS = (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError)


class LongRowError(InvalidInputError):
    """A row is longer than a block of the reader."""


class OtherTypeError(InvalidInputError):
    """A value is not of the type of the rows before it."""


def attempt(path: Path, action: Callable[[], T]) -> T:
    """Call ``action``; raises InvalidInputError with ``path`` for a bad file."""
    try:
        return action()
    except _REFUSALS as error:  # a bad file
        raise _explained(path, " ".join(str(error).split())) from error


def iterate(path: Path, batches: Iterable[Any]) -> Iterator[Any]:
    """Yield ``batches``; raises InvalidInputError with ``path``."""
    iterator = iter(batches)
    while (batch := attempt(path, lambda: next(iterator, None))) is not None:
        yield batch


def check_file(path: Path) -> None:
    """Raise InvalidInputError if ``path`` is no file, or an empty one."""
    if not path.is_file():
        raise InvalidInputError(f"{path} is not a file")
    if path.stat().st_size == 0:
        raise InvalidInputError(f"{path} is empty")


def _explained(path: Path, text: str) -> InvalidInputError:
    if "Empty CSV" in text:
        return InvalidInputError(f"{path} has a header but no rows")
    if "straddl" in text:
        return LongRowError(
            f"cannot read {path}: a row is longer than a block of the reader; is a quote left open?"
        )
    if "CSV conversion error" in text:
        return OtherTypeError(f"cannot read {path}: {text[:300]}")
    return InvalidInputError(f"cannot read {path}: {text[:300]}")
