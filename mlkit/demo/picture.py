"""The two errors month by month, as an SVG that needs nothing else: in a page or on its own."""

from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

from mlkit.demo.story import Month
from mlkit.pages import axis

_WIDTH, _HEIGHT = 860, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 28, 76, 40
_MOST_LINES = 5
# Colours are written out twice, not as variables, for programs that know little CSS.
_STYLE = """
.errors text { font: 14px system-ui, "DejaVu Sans", sans-serif; fill: #5b6573; }
.errors .paper { fill: #fff; } .errors .grid { stroke: #d9dee6; }
.errors polyline { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
.errors polyline.live { stroke: #0a7d55; } .errors circle.live { fill: #0a7d55; }
.errors polyline.frozen { stroke: #c2410c; stroke-dasharray: 6 4; }
.errors circle.frozen { fill: #fff; stroke: #c2410c; stroke-width: 2; }
.errors text.live { fill: #0a7d55; font-weight: 600; }
.errors text.frozen { fill: #c2410c; font-weight: 600; }
.errors text.version { font-size: 12px; fill: #0a7d55; paint-order: stroke; stroke: #fff;
  stroke-width: 4px; }
@media (prefers-color-scheme: dark) {
.errors text { fill: #a3adbb; } .errors .paper { fill: #12161d; } .errors .grid { stroke: #333c4a; }
.errors polyline.live { stroke: #3ecf97; } .errors circle.live { fill: #3ecf97; }
.errors polyline.frozen { stroke: #fb8b4c; }
.errors circle.frozen { fill: #12161d; stroke: #fb8b4c; }
.errors text.live { fill: #3ecf97; } .errors text.frozen { fill: #fb8b4c; }
.errors text.version { fill: #3ecf97; stroke: #12161d; }
}
"""


class _Curve(NamedTuple):
    kind: str
    label: str
    value: Callable[[Month], float]


_CURVES = (
    _Curve("frozen", "frozen v1, left alone", lambda month: month.mae_frozen),
    _Curve("live", "live champion, mended by the loop", lambda month: month.mae_live),
)


class _Plane:
    """Where a value of a month is drawn."""

    def __init__(self, months: Sequence[Month]) -> None:
        top = max(curve.value(month) for curve in _CURVES for month in months)
        self.marks = axis.ticks(top, most=_MOST_LINES)
        self._step = (_WIDTH - _LEFT - _RIGHT - 24) / max(1, len(months) - 1)

    def x(self, place: int) -> float:
        return round(_LEFT + 16 + place * self._step, 1)

    def y(self, value: float) -> float:
        return round(_TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - value / self.marks[-1]), 1)


def draw(months: Sequence[Month]) -> str:
    """Return the picture as one ``<svg>`` element, which is also a whole file."""
    plane = _Plane(months)
    parts = [*_grid(plane), *_names(plane, months)]
    parts += [part for curve in _CURVES for part in _curve(plane, months, curve)]
    parts += [*_versions(plane, months), *_legend()]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="errors" role="img" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-labelledby="errors-title errors-desc">\n'
        f'<title id="errors-title">Error of the live champion and of the frozen v1</title>\n'
        f'<desc id="errors-desc">{escape(described(months))}</desc>\n<style>{_STYLE}</style>\n'
        f'<rect class="paper" width="{_WIDTH}" height="{_HEIGHT}" rx="8"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def described(months: Sequence[Month]) -> str:
    """Return in words what the picture shows."""
    live = [month.mae_live for month in months]
    frozen = [month.mae_frozen for month in months]
    return (
        f"Mean absolute error in minutes, {months[0].name} to {months[-1].name}: the live champion "
        f"stays between {min(live):.1f} and {max(live):.1f}, the frozen v1 goes from "
        f"{frozen[0]:.1f} up to {max(frozen):.1f} and ends at {frozen[-1]:.1f}."
    )


def _grid(plane: _Plane) -> list[str]:
    parts = [_text(_LEFT - 32, _TOP - 20, "minutes wrong, on average")]
    for mark in plane.marks:
        y = plane.y(mark)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(_text(_LEFT - 10, y + 5, f"{mark:g}", anchor="end"))
    return parts


def _names(plane: _Plane, months: Sequence[Month]) -> list[str]:
    return [
        _text(plane.x(place), _HEIGHT - 14, month.name[:3], anchor="middle")
        for place, month in enumerate(months)
    ]


def _curve(plane: _Plane, months: Sequence[Month], curve: _Curve) -> list[str]:
    """Return a line and its dots; each dot tells its number to the mouse."""
    values = [curve.value(month) for month in months]
    points = [(plane.x(place), plane.y(value)) for place, value in enumerate(values)]
    line = " ".join(f"{x},{y}" for x, y in points)
    dots = [
        f'<circle class="{curve.kind}" cx="{x}" cy="{y}" r="4"><title>{escape(month.name)}: '
        f"{value:.1f} minutes, {curve.label}</title></circle>"
        for (x, y), month, value in zip(points, months, values, strict=True)
    ]
    return [f'<polyline class="{curve.kind}" points="{line}"/>', *dots]


def _versions(plane: _Plane, months: Sequence[Month]) -> list[str]:
    """Name each new champion beside its month, on the side that the other curve leaves free."""
    parts = []
    for place, month in enumerate(months):
        if month.action == "promoted":
            away = -11 if month.mae_live > month.mae_frozen else 21
            y = plane.y(month.mae_live) + away
            label = f"v{month.version}"
            parts.append(_text(plane.x(place), y, label, anchor="middle", kind="version"))
    return parts


def _legend() -> list[str]:
    parts = []
    for x, curve in zip((_LEFT + 380, _LEFT), _CURVES, strict=True):
        parts.append(f'<polyline class="{curve.kind}" points="{x},24 {x + 32},24"/>')
        parts.append(f'<circle class="{curve.kind}" cx="{x + 16}" cy="24" r="4"/>')
        parts.append(_text(x + 42, 29, curve.label, kind=curve.kind))
    return parts


def _text(x: float, y: float, text: str, *, anchor: str = "start", kind: str = "axis") -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'
