"""A series of numbers in as many characters, for tables and lines of text."""

import math
from collections.abc import Iterable
from typing import Final

from mlkit.cli import output

BLOCKS: Final = "▁▂▃▄▅▆▇█"
GAP: Final = "·"
_PLAIN: Final = str.maketrans(BLOCKS + GAP, "_.-~=+*#?")


def line(values: Iterable[float | None], *, top: float = 2.0) -> str:
    """Return a block for each value from 0 to ``top`` or above, and a dot where there is none.

    Levels are 1 at their line, so with 2 on top a quiet series looks quiet and what crosses the
    line is in the upper half. A terminal that has no blocks gets ASCII.
    """
    text = "".join(_block(value, top) for value in values)
    return text if output.shows(BLOCKS + GAP) else text.translate(_PLAIN)


def _block(value: float | None, top: float) -> str:
    if value is None or math.isnan(value):
        return GAP
    share = min(1.0, max(0.0, value / top))
    return BLOCKS[min(len(BLOCKS) - 1, int(share * len(BLOCKS)))]
