"""The two errors month by month, as a picture made of characters."""

from collections.abc import Sequence

from mlkit.demo.story import Month
from mlkit.pages import axis

_MOST_LEVELS = 12
_WIDTH = 6  # characters per month
LIVE, FROZEN, BOTH = "●", "○", "◉"
_PLAIN = str.maketrans("●○◉┤│└─", "*ox||+-")


def draw(months: Sequence[Month]) -> str:
    """Return the chart: ● the live champion, ○ the frozen v1, ◉ both in one place."""
    top = max(max(month.mae_live, month.mae_frozen) for month in months)
    marks = axis.ticks(top, most=_MOST_LEVELS)
    labels = [f"{mark:g}" for mark in marks]
    margin = 2 + max(map(len, labels))
    lines = ["minutes wrong, on average"]
    for level in range(len(marks) - 1, 0, -1):
        cells = "".join(_cell(month, level, marks[1]).center(_WIDTH) for month in months)
        lines.append(f"{labels[level]:>{margin}} ┤{cells.rstrip()}")
    lines.append(f"{labels[0]:>{margin}} └{'─' * _WIDTH * len(months)}")
    names = "".join(month.name[:3].center(_WIDTH) for month in months)
    legend = f"{LIVE} live, mended by the loop   {FROZEN} frozen v1   {BOTH} both"
    return "\n".join([*lines, f"{'':{margin + 2}}{names.rstrip()}", f"{'':{margin + 2}}{legend}"])


def plain(text: str) -> str:
    """Return ``text`` for a terminal that knows ASCII only.

    >>> plain("└─●")
    '+-*'
    """
    return text.translate(_PLAIN)


def _cell(month: Month, level: int, step: float) -> str:
    live, frozen = (_level(value, step) for value in (month.mae_live, month.mae_frozen))
    if live == frozen == level:
        return BOTH
    return LIVE if live == level else FROZEN if frozen == level else " "


def _level(value: float, step: float) -> int:
    """Return the level whose line is nearest, at least the lowest."""
    return max(1, round(value / step))
