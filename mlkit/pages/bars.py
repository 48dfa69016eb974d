"""Small charts of one column: its two distributions, and its recent drift levels."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from markupsafe import Markup

from mlkit.pages import words
from mlkit.pages.marks import mark
from mlkit.pages.svg import element, line, path, picture, point
from mlkit.steps.drift.histogram import Bar, Distribution, Pair

_WIDTH: Final = 240
_HEIGHT: Final = 52
_ROW: Final = 18
_HALF: Final = 0.5
_NAME: Final = 92  # width of a label in pixels
_SPARK: Final = (110, 26)
_SPARK_TOP: Final = 2.0  # higher levels are clipped to it


def distribution(name: str, found: Distribution) -> Markup:
    """Draw the distributions of the reference (grey) and of the window (line or bars)."""
    title = f"distribution of {words.short(name)}: {described(found)}"
    if found.bars:
        return _labels(found, title)
    return _steps(found, _ends(found), title)


def _ends(found: Distribution) -> tuple[str, ...]:
    if found.steps:
        unit = " h" if found.measure == "hour" else ""
        return tuple(f"{step}{unit}" for step in (found.steps[0], found.steps[-1]))
    ends = [*found.edges[:1], *found.edges[-1:]]
    if all(end % 1 == _HALF for end in ends):  # integer bins end at half-integers
        ends = [end + shift for end, shift in zip(ends, (_HALF, -_HALF), strict=False)]
    return tuple(words.numbers(*ends))


def described(found: Distribution) -> str:
    """Describe in words what ``distribution`` shows."""
    if found.reference_quantiles and found.current_quantiles:
        low, half, high, now_low, now_half, now_high = words.numbers(
            *found.reference_quantiles, *found.current_quantiles
        )
        return f"median {half} → {now_half}, middle 90%: {low} to {high} → {now_low} to {now_high}"
    if found.steps and found.present.current:
        peaks = [side.index(max(side)) for side in (found.reference, found.current) if side]
        what = "busiest hour" if found.measure == "hour" else "most frequent"
        return f"{what} " + " → ".join(words.short(found.steps[place], 20) for place in peaks)
    if not found.present.current:
        return "no values in the window"
    told = [f"{words.short(bar.label, 20)} {_change(bar.reference, bar.current)}"
            for bar in found.bars[:3]]  # fmt: skip
    return ", ".join(told) or "only labels that the reference does not count"


def spark(levels: Sequence[float | None]) -> Markup:
    """Draw the level of a test in its last reports, with the drift threshold."""
    width, height = _SPARK
    step = (width - 8) / max(1, len(levels) - 1)
    places = [
        None if level is None else (4 + step * place, _spark_y(level))
        for place, level in enumerate(levels)
    ]
    told = ", ".join(NOT_JUDGED if level is None else words.number(level) for level in levels)
    parts = [element("line", class_="limit", x1=0, x2=width, y1=_spark_y(1), y2=_spark_y(1))]
    for known, run in groupby(places, key=lambda place: place is not None):
        if known:
            parts.append(line((place for place in run if place is not None), "series"))
    if places and places[-1] is not None:
        kind = "bad" if (levels[-1] or 0) >= 1 else "ok"
        parts.append(mark(kind, *places[-1], size=2.5))
    return picture(width, height, *parts, kind="trend spark", title=f"levels of late: {told}")


NOT_JUDGED: Final = "not judged"


def _spark_y(level: float) -> float:
    height = _SPARK[1]
    return 4 + (height - 8) * (1 - min(_SPARK_TOP, level) / _SPARK_TOP)


def _steps(found: Distribution, ends: tuple[str, ...], title: str) -> Markup:
    top = max([1e-9, *found.reference, *found.current])
    before, now = (_outline(side, top) for side in (found.reference, found.current))
    parts = [element("line", class_="grid", x1=0, x2=_WIDTH, y1=_HEIGHT, y2=_HEIGHT)]
    if before:
        closed = f"M{point(0, _HEIGHT)}L{before[1:]}L{point(_WIDTH, _HEIGHT)}Z"
        parts.append(element("path", class_="reference", d=closed))
    if now:
        parts.append(element("path", class_="current", d=now))
    for text, x, kind in zip(ends, (0, _WIDTH), ("start", "end"), strict=False):
        parts.append(element("text", text, x=x, y=_HEIGHT + 12, class_=kind))
    return picture(_WIDTH, _HEIGHT + 15, *parts, kind="shape", title=title)


def _outline(shares: Sequence[float], top: float) -> str:
    if not shares:
        return ""
    width = _WIDTH / len(shares)
    corners = [
        (x * width, _HEIGHT - (_HEIGHT - 2) * share / top)
        for place, share in enumerate(shares)
        for x in (place, place + 1)
    ]
    return path(*(("L" if place else "M", x, y) for place, (x, y) in enumerate(corners)))


def _labels(found: Distribution, title: str) -> Markup:
    bars = [*found.bars, *_rest(found)]
    top = max([1e-9, *(max(bar.reference, bar.current) for bar in bars)])
    parts = [part for place, bar in enumerate(bars) for part in _bar(bar, place * _ROW, top)]
    return picture(_WIDTH, max(1, len(bars)) * _ROW, *parts, kind="shape", title=title)


def _rest(found: Distribution) -> Iterator[Bar]:
    for name, pair in (("other labels", found.others), ("new labels", found.unseen)):
        if isinstance(pair, Pair):
            yield Bar(name, pair.reference, pair.current)


def _bar(bar: Bar, y: float, top: float) -> Iterator[Markup]:
    """Yield one category: its truncated name, two bars, and the shares."""
    room = _WIDTH - _NAME - 84
    name = element("text", words.short(bar.label, 24) or "(empty)", x=0, y=12)
    yield element("svg", element("title", bar.label), name, x=0, y=y, width=_NAME - 6, height=_ROW)
    for kind, share, down in (("reference", bar.reference, 3), ("current", bar.current, 9)):
        width = max(1.0, room * share / top) if share else 0.0
        yield element("rect", class_=kind, x=_NAME, y=y + down, width=width, height=5)
    yield element("text", _change(bar.reference, bar.current), x=_WIDTH, y=y + 12, class_="end")


def _change(before: float, now: float) -> str:
    return f"{words.percent(before)} → {words.percent(now)}"
