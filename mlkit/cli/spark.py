"""Sparklines: a series of numbers with one character each, for tables and text."""

import math
from collections.abc import Iterable
from typing import Final

from mlkit.cli import output

BLOCKS: Final = "▁▂▃▄▅▆▇█"
GAP: Final = "·"
_PLAIN: Final = str.maketrans(BLOCKS + GAP, "_.-~=+*#?")


def line(values: Iterable[float | None], *, top: float = 2.0) -> str:
    """Return a block character for each value, scaled from 0 to ``top``, and a dot for None.

    A level is 1 at the threshold, so with ``top`` 2 values above the threshold are in the upper
    half. A terminal without block characters gets ASCII.
    """
    text = "".join(_block(value, top) for value in values)
    return text if output.shows(BLOCKS + GAP) else text.translate(_PLAIN)


def _block(value: float | None, top: float) -> str:
    if value is None or math.isnan(value):
        return GAP
    share = min(1.0, max(0.0, value / top))
    return BLOCKS[min(len(BLOCKS) - 1, int(share * len(BLOCKS)))]
