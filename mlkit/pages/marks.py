"""Chart markers whose shape has the same meaning as their colour."""

from typing import Final

from markupsafe import Markup

from mlkit.pages.svg import element

_KINDS: Final = {"drift": "bad", "degraded": "bad", "ok": "ok"}
_LINES: Final = ("limit", "reference", "version")


def kind(verdict: str) -> str:
    """Return the marker kind of a verdict: bad, ok or unknown."""
    return _KINDS.get(verdict, "unknown")


def mark(kind: str, x: float, y: float, title: str = "", *, size: float = 4.0) -> Markup:
    """Draw a marker, for which shape and colour have the same meaning.

    ``bad`` is a diamond, ``ok`` a dot, ``unknown`` a ring, ``estimate`` a square.
    """
    inner = (element("title", title),) if title else ()
    if kind == "bad":
        half = size * 1.6
        place = " ".join(
            f"{x + dx:.1f},{y + dy:.1f}"
            for dx, dy in ((0, -half), (half, 0), (0, half), (-half, 0))
        )
        return element("polygon", *inner, class_="bad", points=place)
    if kind == "estimate":
        return element(
            "rect", *inner, class_=kind, x=x - size, y=y - size, width=2 * size, height=2 * size
        )
    return element("circle", *inner, class_=kind, cx=x, cy=y, r=size)


def icon(verdict: str) -> Markup:
    """Return the marker of a verdict for a line of text."""
    drawn = mark(kind(verdict), 6, 6, size=3.6)
    return element("svg", drawn, class_="trend", viewBox="0 0 12 12", aria_hidden="true")


def symbol(name: str) -> Markup:
    """Return the symbol of a kind of marker, or of a line, for a legend."""
    if name in _LINES:
        drawn = element("line", class_=name, x1=0, x2=22, y1=7, y2=7)
    else:
        drawn = mark(name, 11, 7)
    return element("svg", drawn, class_="trend", viewBox="0 0 22 14", aria_hidden="true")
