"""SVG elements as escaped text."""

from collections.abc import Iterable

from markupsafe import Markup, escape

from mlkit import printable
from mlkit.pages import words

_LONGEST = 300  # maximum characters of a text


def element(name: str, *inner: str, **attributes: str | float) -> Markup:
    """Return an element; ``class_`` is its class, and ``stroke_width`` its stroke-width.

    >>> element("text", "a < b", x=1.25, class_="axis")
    Markup('<text x="1.2" class="axis">a &lt; b</text>')
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
    )
    content = "".join(map(_text, inner))
    return Markup(f"<{name}{written}>{content}</{name}>" if inner else f"<{name}{written}/>")  # noqa: S704  # every part was escaped


def picture(
    width: float, height: float, *parts: str, kind: str, title: str, **attributes: str
) -> Markup:
    """Return a complete SVG with a title for screen readers."""
    title = words.short(title, _LONGEST)
    return element(
        "svg", element("title", title), *parts,
        class_=kind, viewBox=f"0 0 {width:g} {height:g}", role="img", aria_label=title,
        **attributes,
    )  # fmt: skip


def line(places: Iterable[tuple[float, float]], kind: str) -> Markup:
    """Return a polyline through the points."""
    return element("polyline", class_=kind, points=" ".join(point(x, y) for x, y in places))


def point(x: float, y: float) -> str:
    """Format a point for paths and polylines."""
    return f"{x:.1f},{y:.1f}"


def path(*commands: tuple[str, float, float]) -> str:
    """Return the attribute ``d`` of a path.

    >>> path(("M", 0, 1), ("L", 2.04, 3))
    'M0.0,1.0L2.0,3.0'
    """
    return "".join(f"{letter}{point(x, y)}" for letter, x, y in commands)


def _value(value: str | float) -> str:
    if isinstance(value, str):
        return str(escape(printable.line(value)))
    return f"{round(value, 1):g}"


def _text(text: str) -> Markup:
    if isinstance(text, Markup):
        return text
    return escape(words.short(printable.line(text), _LONGEST))
