"""The coordinate system of a chart over time: scales, grid, version markers."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from markupsafe import Markup

from mlkit.flows.monitoring.report import Served
from mlkit.pages import axis
from mlkit.pages.svg import element

WIDTH: Final = 860
LEFT: Final = 66
RIGHT: Final = 20
TOP: Final = 30
BOTTOM: Final = 28
_INSIDE: Final = 14  # margin at the first and last point
_LABEL: Final = 34  # width of a version label
_MOST_TIMES: Final = 8
_ALONE: Final = timedelta(hours=12)  # before and after a single time

Scale = Callable[[float], float]


@dataclass(frozen=True)
class Plane:
    """A coordinate system for times ``start`` to ``end`` and values ``low`` to ``high``.

    ``scale`` transforms the values, ``height`` is the height of the value axis.
    """

    start: datetime
    end: datetime
    low: float
    high: float
    height: float
    scale: Scale = float

    def x(self, at: datetime) -> float:
        """Return the x position of a time, clipped to the frame."""
        share = (at - self.start) / (self.end - self.start)
        room = WIDTH - LEFT - RIGHT - 2 * _INSIDE
        return LEFT + _INSIDE + room * min(1.0, max(0.0, share))

    def y(self, value: float) -> float:
        """Return the y position of a value, clipped to the frame."""
        bottom, top = self.scale(self.low), self.scale(self.high)
        span = top - bottom
        share = (self.scale(value) - bottom) / span if math.isfinite(span) and span else 0.5
        return TOP + self.height * (1 - min(1.0, max(0.0, share)))

    @property
    def base(self) -> float:
        """The y position of the lower end of the value axis."""
        return TOP + self.height


def stretch(moments: Sequence[datetime]) -> tuple[datetime, datetime]:
    """Return the first and the last time, widened if they are equal."""
    start, end = min(moments), max(moments)
    return (start, end) if end > start else (start - _ALONE, end + _ALONE)


def levels(plane: Plane, marks: Sequence[float], label: Callable[[float], str]) -> Iterator[Markup]:
    """Yield a line and a number for each mark."""
    for mark in marks:
        y = plane.y(mark)
        yield element("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y)
        yield element("text", label(mark), x=LEFT - 8, y=y + 4, class_="end")


def grid(plane: Plane, marks: Sequence[float], label: Callable[[float], str]) -> Iterator[Markup]:
    """Yield a line and a number for each mark, and the times below."""
    yield from levels(plane, marks, label)
    for moment in axis.times(plane.start, plane.end, most=_MOST_TIMES):
        x = plane.x(moment.at)
        yield element("line", class_="grid", x1=x, x2=x, y1=plane.base, y2=plane.base + 5)
        yield element("text", moment.label, x=x, y=plane.base + 19, class_="middle")


def versions(plane: Plane, served: Sequence[Served]) -> Iterator[Markup]:
    """Yield a line at the start of each version, with its label if there is room."""
    before = [each for each in served if each.at < plane.start]
    free = 0.0
    for each in [*before[-1:], *(s for s in served if plane.start <= s.at <= plane.end)]:
        x = LEFT if each.at < plane.start else plane.x(each.at)
        if x > LEFT:
            yield element("line", class_="version", x1=x, x2=x, y1=TOP - 12, y2=plane.base)
        if x >= free:
            yield element("text", f"v{each.version}", x=x + 4, y=TOP - 10, class_="version")
            free = x + _LABEL
