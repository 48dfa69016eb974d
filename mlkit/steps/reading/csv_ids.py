"""Detect CSV columns of digits that are ids: as numbers they would lose information.

007 and 7, +41791234567 and 0041791234567, 1E5 and 100000, 0x1F and 31 are different ids.
"""

import re
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_LED: Final = r"^\s*[+-]?0[\dxX]"  # a leading zero: no number is written so
_LED_TEXT: Final = re.compile(_LED, re.ASCII)
_BARE: Final = r"^\s*(\+\d+|\d+[eE]\d+|[+-]?\d{19,})\s*$"  # +41, 1E5, beyond 64 bits
_MEASURED: Final = r"^\s*(-|[+]?\d*[.,]\d|[+]?[\d.,]+[eE][+-])"  # only numbers have these
_ONE, _REST = np.uint8(49), np.uint8(127 - 49)  # from "1" to the last of ASCII, modulo 256
_ZERO, _NINE, _PLUS, _MINUS, _BLANK, _X = 48, 57, 43, 45, 32, 120


class Led(NamedTuple):
    """A value whose format shows that it is no number, and its row, from 1."""

    value: str
    row: int


def is_led(text: str) -> bool:
    """Tell whether a text has a leading zero, so that it is no number.

    >>> is_led("007"), is_led("0x1F"), is_led("0.7"), is_led("0")
    (True, True, False, False)
    """
    return _LED_TEXT.match(text) is not None


class Digits:
    """Collects the formats of a column that parses as numbers, block by block.

    A leading zero (007, 00.5), or a hexadecimal value, makes the column text. An integer with a
    plus, with an exponent without a sign (1E5), or beyond 64 bits does so as well, unless the
    column has formats that only numbers have: a fraction, a minus, an exponent with a sign.
    """

    def __init__(self) -> None:
        self.led: Led | None = None
        self._bare: Led | None = None
        self._measured = False
        self._rows = 0

    @property
    def of_id(self) -> Led | None:
        """The first value that makes the column text, None for a column of numbers."""
        return self.led or (None if self._measured else self._bare)

    def add(self, texts: pa.ChunkedArray, *, whole: bool) -> None:
        """Add the next block; ``whole`` if all of it parses as 64-bit integers."""
        for chunk in texts.chunks:
            if len(chunk) > chunk.null_count:
                self._add(chunk, whole=whole)
            self._rows += len(chunk)

    def _add(self, chunk: Any, *, whole: bool) -> None:
        odd, negative = _odd(chunk)
        self._measured = self._measured or (whole and negative)
        if not whole and not self._measured:
            self._measured = bool(pc.any(pc.match_substring_regex(chunk, _MEASURED)).as_py())
            odd = np.arange(len(chunk))  # an exponent is not at the start
        if self.led is None and len(odd):
            picked = chunk.take(pa.array(odd))
            self.led = self._first(picked, odd, _LED)
            if not self._measured and self._bare is None:
                self._bare = self._first(picked, odd, _BARE)

    def _first(self, picked: Any, rows: np.ndarray, pattern: str) -> Led | None:
        at = pc.index(pc.match_substring_regex(picked, pattern), True).as_py()
        return None if at < 0 else Led(picked[at].as_py().strip(), self._rows + int(rows[at]) + 1)


def _odd(chunk: Any) -> tuple[np.ndarray, bool]:
    """Return the rows whose first characters need a closer check, and whether one is a minus.

    It checks bytes: a regular expression on every value takes longer than reading them.
    """
    starts, lengths, data = _bytes(chunk)
    last = max(len(data) - 1, 0)
    first = data[np.minimum(starts, last)]
    rows = np.flatnonzero(first - _ONE > _REST)  # do not start with 1 to 9 or a letter
    rows = rows[lengths[rows] > 0]
    first, at = first[rows], starts[rows]
    negative = first == _MINUS
    signed = (first == _PLUS) | negative
    at = at + signed
    then = data[np.minimum(at + 1, last)]
    more = ((then >= _ZERO) & (then <= _NINE)) | ((then | _BLANK) == _X)
    led = more & (data[np.minimum(at, last)] == _ZERO) & (lengths[rows] - signed >= 2)
    odd = led | (first == _PLUS) | (first <= _BLANK) | (first > 127)
    return rows[odd], bool(negative.any())


def _bytes(chunk: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the offsets and lengths of the texts, and the bytes of all of them."""
    _, offsets, values = chunk.buffers()
    edges = np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
    data = np.frombuffer(values, np.uint8) if values is not None else np.zeros(0, np.uint8)
    return edges[:-1], np.diff(edges), data if len(data) else np.zeros(1, np.uint8)
