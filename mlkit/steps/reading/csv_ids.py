"""Whether the digits of a CSV column are numbers, or ids that a number would not keep.

007 and 7, +41791234567 and 0041791234567, 1E5 and 100000, 0x1F and 31 are different ids.
"""

import re
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_LED: Final = r"^\s*[+-]?0[\dxX]"  # a zero before other digits: no number is written so
_LED_TEXT: Final = re.compile(_LED, re.ASCII)
_BARE: Final = r"^\s*(\+\d+|\d+[eE]\d+|[+-]?\d{19,})\s*$"  # +41, 1E5, more digits than 64 bits hold
_MEASURED: Final = r"^\s*(-|[+]?\d*[.,]\d|[+]?[\d.,]+[eE][+-])"  # what only numbers have
_ONE, _REST = np.uint8(49), np.uint8(127 - 49)  # from "1" to the last of ASCII, modulo 256
_ZERO, _NINE, _PLUS, _MINUS, _BLANK, _X = 48, 57, 43, 45, 32, 120


class Led(NamedTuple):
    """A value that is no number for the way it is written, and its row, from 1."""

    value: str
    row: int


def is_led(text: str) -> bool:
    """Tell whether a text has a zero before other digits, as no number is written.

    >>> is_led("007"), is_led("0x1F"), is_led("0.7"), is_led("0")
    (True, True, False, False)
    """
    return _LED_TEXT.match(text) is not None


class Digits:
    """What the texts of a column that reads as numbers look like, block by block.

    A zero before other digits (007, 00.5), or hexadecimal, makes the column text. A whole number
    with a plus, with an exponent without a sign (1E5), or beyond 64 bits does so as well, unless
    the column has what only numbers have: a fraction, a minus, an exponent with a sign.
    """

    def __init__(self) -> None:
        self.led: Led | None = None
        self._bare: Led | None = None
        self._measured = False
        self._rows = 0

    @property
    def of_id(self) -> Led | None:
        """The first value that makes the column text, None while it holds numbers."""
        return self.led or (None if self._measured else self._bare)

    def add(self, texts: pa.ChunkedArray, *, whole: bool) -> None:
        """Look at the next block; ``whole`` if all of it reads as integers of 64 bits."""
        for chunk in texts.chunks:
            if len(chunk) > chunk.null_count:
                self._add(chunk, whole=whole)
            self._rows += len(chunk)

    def _add(self, chunk: Any, *, whole: bool) -> None:
        odd, negative = _odd(chunk)
        self._measured = self._measured or (whole and negative)
        if not whole and not self._measured:
            self._measured = bool(pc.any(pc.match_substring_regex(chunk, _MEASURED)).as_py())
            odd = np.arange(len(chunk))  # an exponent may be anywhere
        if self.led is None and len(odd):
            picked = chunk.take(pa.array(odd))
            self.led = self._first(picked, odd, _LED)
            if not self._measured and self._bare is None:
                self._bare = self._first(picked, odd, _BARE)

    def _first(self, picked: Any, rows: np.ndarray, pattern: str) -> Led | None:
        at = pc.index(pc.match_substring_regex(picked, pattern), True).as_py()
        return None if at < 0 else Led(picked[at].as_py().strip(), self._rows + int(rows[at]) + 1)


def _odd(chunk: Any) -> tuple[np.ndarray, bool]:
    """Return the rows whose first characters are worth a closer look, and if one is a minus.

    On the bytes themselves: a regular expression on every value costs more than reading them.
    """
    starts, lengths, data = _bytes(chunk)
    last = max(len(data) - 1, 0)
    first = data[np.minimum(starts, last)]
    rows = np.flatnonzero(first - _ONE > _REST)  # which begin with neither 1 to 9 nor a letter
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
    """Return where each text starts, how long it is, and the bytes of all of them."""
    _, offsets, values = chunk.buffers()
    edges = np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
    data = np.frombuffer(values, np.uint8) if values is not None else np.zeros(0, np.uint8)
    return edges[:-1], np.diff(edges), data if len(data) else np.zeros(1, np.uint8)
