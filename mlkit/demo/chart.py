"""The two errors month by month, as a picture made of characters."""

from collections.abc import Sequence

from mlkit.demo.story import Month

_LEVELS = 10
_WIDTH = 6  # characters per month
LIVE, FROZEN, BOTH = "●", "○", "◉"
_PLAIN = str.maketrans("●○◉┤│└─", "*ox||+-")


def draw(months: Sequence[Month]) -> str:
    """Return the chart: ● the live champion, ○ the frozen v1, ◉ both in one place."""
    top = max(max(month.mae_live, month.mae_frozen) for month in months)
    step = top / _LEVELS
    lines = ["minutes"]
    for level in range(_LEVELS, 0, -1):
        cells = "".join(_cell(month, level, step).center(_WIDTH) for month in months)
        lines.append(f"{level * step:6.1f} ┤{cells.rstrip()}")
    names = "".join(month.name[:3].center(_WIDTH) for month in months)
    lines += [f"{0:6.1f} └{'─' * _WIDTH * len(months)}", f"{'':8}{names.rstrip()}"]
    lines.append(f"{'':8}{LIVE} live, mended by the loop   {FROZEN} frozen v1   {BOTH} both")
    return "\n".join(lines)


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
    return max(1, round(value / step)) if step else 1
