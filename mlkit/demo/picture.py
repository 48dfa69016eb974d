"""The two errors month by month, as an SVG that needs nothing else: in a page or on its own."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from markupsafe import Markup

from mlkit.demo.flights import month_start
from mlkit.demo.story import Month
from mlkit.flows.monitoring.report import Served
from mlkit.pages import axis, plane
from mlkit.pages.marks import mark
from mlkit.pages.plane import BOTTOM, LEFT, TOP, WIDTH, Plane
from mlkit.pages.svg import element, line, picture

_HEIGHT: Final = 290
_LEGEND: Final = 30
_MOST_LINES: Final = 5
# Colours are written out twice, not as variables, for programs that know little CSS.
_STYLE: Final = Markup("""
.errors text { font: 14px system-ui, "DejaVu Sans", sans-serif; fill: #5b6573; }
.errors .end { text-anchor: end; } .errors .middle { text-anchor: middle; }
.errors .paper { fill: #fff; } .errors .grid { stroke: #d9dee6; }
.errors line.version { stroke: #5b6573; stroke-dasharray: 2 3; }
.errors polyline { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
.errors polyline.live { stroke: #0a7d55; } .errors circle.live { fill: #0a7d55; }
.errors polyline.frozen { stroke: #c2410c; stroke-dasharray: 6 4; }
.errors circle.frozen { fill: #fff; stroke: #c2410c; stroke-width: 2; }
.errors text.live, .errors text.version { fill: #0a7d55; font-weight: 600; }
.errors text.frozen { fill: #c2410c; font-weight: 600; }
@media (prefers-color-scheme: dark) {
.errors text { fill: #a3adbb; } .errors .paper { fill: #12161d; } .errors .grid { stroke: #333c4a; }
.errors line.version { stroke: #a3adbb; }
.errors polyline.live { stroke: #3ecf97; } .errors circle.live { fill: #3ecf97; }
.errors polyline.frozen { stroke: #fb8b4c; }
.errors circle.frozen { fill: #12161d; stroke: #fb8b4c; }
.errors text.live, .errors text.version { fill: #3ecf97; } .errors text.frozen { fill: #fb8b4c; }
}
""")


class _Curve(NamedTuple):
    kind: str
    label: str
    value: Callable[[Month], float]


_CURVES: Final = (
    _Curve("frozen", "frozen v1, left alone", lambda month: month.mae_frozen),
    _Curve("live", "live champion, mended by the loop", lambda month: month.mae_live),
)


def draw(months: Sequence[Month]) -> Markup:
    """Return the picture as one ``<svg>`` element, which is also a whole file."""
    marks = axis.ticks(max(c.value(month) for c in _CURVES for month in months), most=_MOST_LINES)
    frame = Plane(*plane.stretch([_at(month) for month in months]), marks[0], marks[-1], _HEIGHT)
    height = TOP + _HEIGHT + BOTTOM + _LEGEND
    parts = [
        element("style", _STYLE),
        element("rect", class_="paper", width=WIDTH, height=height, rx=8),
        *plane.levels(frame, marks, "{:g}".format),
        *(_name(frame, month) for month in months),
        *plane.versions(frame, [_served(m) for m in months if m.action == "promoted"]),
        *(part for curve in _CURVES for part in _curve(frame, months, curve)),
        *_legend(frame.base + BOTTOM + _LEGEND / 2),
    ]
    return picture(
        WIDTH, height, *parts,
        kind="errors", title=described(months), xmlns="http://www.w3.org/2000/svg",
    )  # fmt: skip


def described(months: Sequence[Month]) -> str:
    """Return in words what the picture shows."""
    live = [month.mae_live for month in months]
    frozen = [month.mae_frozen for month in months]
    return (
        f"Mean absolute error in minutes, {months[0].name} to {months[-1].name}: the live champion "
        f"stays between {min(live):.1f} and {max(live):.1f}, the frozen v1 goes from "
        f"{frozen[0]:.1f} up to {max(frozen):.1f} and ends at {frozen[-1]:.1f}."
    )


def _at(month: Month) -> datetime:
    return month_start(month.month)


def _served(month: Month) -> Served:
    return Served(
        version=month.version, at=_at(month), action=month.action, actor="", reason=month.reason
    )


def _name(frame: Plane, month: Month) -> Markup:
    x, y = frame.x(_at(month)), frame.base + 22
    return element("text", month.name[:3], x=x, y=y, class_="middle")


def _curve(frame: Plane, months: Sequence[Month], curve: _Curve) -> Iterator[Markup]:
    """Yield a line and its dots; each dot tells its number to the mouse."""
    values = [curve.value(month) for month in months]
    places = [(frame.x(_at(m)), frame.y(value)) for m, value in zip(months, values, strict=True)]
    yield line(places, curve.kind)
    for (x, y), month, value in zip(places, months, values, strict=True):
        yield mark(curve.kind, x, y, f"{month.name}: {value:.1f} minutes, {curve.label}")


def _legend(y: float) -> Iterator[Markup]:
    yield element("text", "minutes wrong, on average:", x=LEFT, y=y + 5, class_="unit")
    for x, curve in zip((LEFT + 210, LEFT + 440), _CURVES, strict=True):
        yield line([(x, y), (x + 32, y)], curve.kind)
        yield mark(curve.kind, x + 16, y)
        yield element("text", curve.label, x=x + 42, y=y + 5, class_=curve.kind)
