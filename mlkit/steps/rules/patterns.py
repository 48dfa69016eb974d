"""Regular expressions of rules, by RE2, whose time is linear in the length of the text.

Patterns have Python's syntax without look-around and back references, which can take exponential
time. Letters and digits are those of all scripts, as in Python.
"""

import re
from functools import lru_cache
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.errors import InvalidInputError

_TOKEN: Final = re.compile(
    r"\\u([0-9A-Fa-f]{4})|\\U([0-9A-Fa-f]{8})|\\.|\[\^?\]?|\]|\{,\d+\}|[^\\\[\]{]+|.", re.DOTALL
)
_SETS: Final = {  # ASCII-only classes of RE2, with their Unicode form inside a set
    r"\d": r"\p{Nd}",
    r"\D": r"\P{Nd}",
    r"\w": r"\p{L}\p{N}_",
    r"\W": r"\p{M}\p{Pd}\p{Ps}\p{Pe}\p{Pi}\p{Pf}\p{Po}\p{S}\p{Z}\p{C}"
    r"\x{203f}\x{2040}\x{2054}\x{fe33}\x{fe34}\x{fe4d}-\x{fe4f}\x{ff3f}",
    r"\s": r"\s\v\x1c-\x1f\x85\p{Z}",
    r"\S": r"\x00-\x08\x0e-\x1b\x21-\x84\x86-\x9f\x{a1}-\x{167f}\x{1681}-\x{1fff}"
    r"\x{200b}-\x{2027}\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{10ffff}",
}
_SPELLED: Final = {r"\Z": r"\z"}
_BACKSPACE: Final = r"\b"


def check(pattern: str, place: str) -> None:
    """Raise InvalidInputError with ``place`` if RE2 does not accept ``pattern``."""
    try:
        found(pa.chunked_array([[""]]), pattern)
    except pa.ArrowInvalid as error:
        reason = str(error).removeprefix("Invalid regular expression: ")
        raise InvalidInputError(
            f"{place}: '{pattern}' is no regular expression that RE2 reads: {reason}; it has no "
            "look-around and no back reference, and repeats at most 1000 times"
        ) from error


def found(column: pa.ChunkedArray, pattern: str, *, at_start: bool = False) -> np.ndarray:
    """Return the mask of texts that match ``pattern``; a missing value matches."""
    wanted = translated(pattern)
    truths = pc.match_substring_regex(column, rf"\A(?:{wanted})" if at_start else wanted)
    return np.asarray(truths.fill_null(True).to_numpy(zero_copy_only=False))


@lru_cache(maxsize=1024)
def translated(pattern: str) -> str:
    r"""Translate ``pattern`` from Python's semantics to RE2's.

    >>> translated(r"^\d{,3}[\w-]+\Z")
    '^[\\p{Nd}]{0,3}[\\p{L}\\p{N}_-]+\\z'
    """
    parts: list[str] = []
    inside = False
    for token in _TOKEN.finditer(pattern):
        text = token[0]
        code = token[1] or token[2]
        if code:
            parts.append(rf"\x{{{code}}}")
        elif inside:
            parts.append(_within(text))
            inside = not text.endswith("]") or text.startswith("\\")
        else:
            parts.append(_outside(text))
            inside = text.startswith("[")
    return "".join(parts)


def _outside(text: str) -> str:
    if text in _SETS:
        return f"[{_SETS[text]}]"
    if text.startswith("{,"):
        return f"{{0{text[1:]}"
    return _SPELLED.get(text, text)


def _within(text: str) -> str:
    r"""Translate a part of a set: an opening bracket is literal there, ``\b`` is a backspace."""
    if text.startswith("["):
        return text.replace("[", r"\[").replace("^", r"\^")
    return r"\x08" if text == _BACKSPACE else _SETS.get(text, text)
