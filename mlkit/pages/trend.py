"""Charts of a model's reports over time: drift levels, realised and estimated loss."""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import Final

from markupsafe import Markup

from mlkit.flows.monitoring.history import DriftPoint, PerformancePoint
from mlkit.flows.monitoring.report import Served
from mlkit.pages import axis, plane, words
from mlkit.pages.marks import kind as kind_of
from mlkit.pages.marks import mark
from mlkit.pages.plane import BOTTOM, LEFT, RIGHT, TOP, WIDTH, Plane
from mlkit.pages.svg import element, line, picture

_HEIGHT: Final = 190
_COVERAGE: Final = 34  # height in pixels of the strip below the losses
_LEVELS: Final = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
_CROWDED: Final = 60  # with more points each is drawn smaller
_STUB: Final = 12  # half-width in pixels of the line of a single report
_ASIDE: Final = 3  # offset in pixels of an estimate from its realised loss


def drift(points: Sequence[DriftPoint], served: Sequence[Served]) -> Markup:
    """Draw the level of each drift report; ``points`` must not be empty.

    The scale is log(1 + level), to show levels far above and below the threshold together.
    """
    levels = [p.level for p in points if p.level is not None]
    high = next((mark for mark in _LEVELS if mark >= max([2.0, *levels])), _LEVELS[-1])
    start, end = plane.stretch([p.at for p in points])
    frame = Plane(start, end, 0.0, high, _HEIGHT, math.log1p)
    shown = [each for each in _LEVELS if each <= high]
    limit = frame.y(1.0)
    parts = [
        element("rect", class_="above", x=LEFT, y=TOP, width=WIDTH - LEFT - RIGHT,
                height=limit - TOP),
        *plane.grid(frame, shown, lambda level: f"{level:g}×"),  # noqa: RUF001  # times
        element("line", class_="limit", x1=LEFT, x2=WIDTH - RIGHT, y1=limit, y2=limit),
        *plane.versions(frame, served),
    ]  # fmt: skip
    for _, group in groupby(points, key=lambda p: p.version):
        known = [(frame.x(p.at), frame.y(p.level)) for p in group if p.level is not None]
        parts.append(_line(known, "series"))
    size = _size(points)
    for p in points:
        place = frame.base if p.level is None else frame.y(p.level)
        kind = kind_of(p.verdict)
        parts.append(mark(kind, frame.x(p.at), place, _drift_words(p), size=size))
    height = TOP + _HEIGHT + BOTTOM
    return picture(WIDTH, height, *parts, kind="trend", title=_drift_title(points))


def performance(points: Sequence[PerformancePoint], served: Sequence[Served]) -> Markup:
    """Draw the loss of each performance report with its interval; ``points`` must not be empty.

    It also has the estimates, the holdout loss, the limit and, below, the coverage.
    """
    start, end = plane.stretch([p.at for p in points])
    values = [value for p in points for value in _values(p)] or [0.0]
    marks = axis.ticks(max(values), low=min(values), most=5)
    frame = Plane(start, end, marks[0], marks[-1], _HEIGHT)
    parts = [*plane.grid(frame, marks, words.number), *plane.versions(frame, served)]
    parts += _levels(frame, points)
    parts += _estimates(frame, points)
    parts += _losses(frame, points)
    parts += _coverage(frame, points)
    height = TOP + _HEIGHT + BOTTOM + _COVERAGE
    return picture(WIDTH, height, *parts, kind="trend", title=_performance_title(points))


def _values(p: PerformancePoint) -> list[float]:
    estimate = p.estimated
    wanted = [p.value, p.low, p.high, p.reference, p.limit]
    if estimate is not None:
        wanted += [estimate.value, estimate.low, estimate.high]
    return [value for value in wanted if value is not None]


def _size(points: Sequence[object]) -> float:
    return 4.0 if len(points) <= _CROWDED else 2.5


def _line(places: Sequence[tuple[float, float]], kind: str) -> Markup:
    return line(places, kind) if len(places) > 1 else Markup()


def _bar(frame: Plane, x: float, low: float | None, high: float | None, kind: str) -> Markup:
    if low is None or high is None:
        return Markup()
    return element("line", class_=kind, x1=x, x2=x, y1=frame.y(low), y2=frame.y(high))


def _levels(frame: Plane, points: Sequence[PerformancePoint]) -> Iterator[Markup]:
    """Yield the holdout loss and the limit, which differ between versions."""
    runs = [
        list(run) for _, run in groupby(points, key=lambda p: (p.version, p.reference, p.limit))
    ]
    begins = [frame.x(run[0].at) for run in runs]
    ends = [*begins[1:], frame.x(runs[-1][-1].at)]
    for run, begin, end in zip(runs, begins, ends, strict=True):
        for kind, value in (("reference", run[0].reference), ("limit", run[0].limit)):
            if value is not None:
                y = frame.y(value)
                right = max(end, begin + _STUB)
                yield element("line", class_=kind, x1=begin - 4, x2=right - 4, y1=y, y2=y)


def _losses(frame: Plane, points: Sequence[PerformancePoint]) -> Iterator[Markup]:
    for _, group in groupby(points, key=lambda p: p.version):
        known = [(frame.x(p.at), frame.y(p.value)) for p in group if p.value is not None]
        yield _line(known, "series")
    for p in points:
        x, kind = frame.x(p.at), kind_of(p.verdict)
        yield _bar(frame, x, p.low, p.high, f"interval {kind}")
        place = frame.base if p.value is None else frame.y(p.value)
        yield mark(kind, x, place, _loss_words(p), size=_size(points))


def _estimates(frame: Plane, points: Sequence[PerformancePoint]) -> Iterator[Markup]:
    known = [(p, p.estimated) for p in points if p.estimated and p.estimated.value is not None]
    for (one, first), (two, second) in pairwise(known):
        if one.version == two.version and first.value is not None and second.value is not None:
            ends = [(frame.x(p.at) + _ASIDE, frame.y(e.value or 0.0))
                    for p, e in ((one, first), (two, second))]  # fmt: skip
            yield _line(ends, "estimate-line")
    for p, estimate in known:
        x = frame.x(p.at) + _ASIDE
        yield _bar(frame, x, estimate.low, estimate.high, "interval estimate")
        said = f"estimated {words.number(estimate.value)}{_interval(estimate.low, estimate.high)}"
        trust = (
            "" if estimate.trusted in (True, None) else f", not to be trusted: {estimate.reason}"
        )
        title = f"{words.moment(p.at)} v{p.version}: {said}{trust}"
        yield mark("estimate", x, frame.y(estimate.value or 0.0), title, size=_size(points) - 1)


def _coverage(frame: Plane, points: Sequence[PerformancePoint]) -> Iterator[Markup]:
    """Yield a strip of bars: the share of the predictions that have an actual."""
    bottom = frame.base + BOTTOM + _COVERAGE - 4
    full = _COVERAGE - 10
    room = (WIDTH - LEFT - RIGHT) / len(points)
    width = max(1.5, min(8.0, 0.6 * room))
    yield element("text", "coverage", x=LEFT - 8, y=bottom - 1, class_="end")
    yield element("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=bottom, y2=bottom)
    for p in points:
        if p.coverage:
            title = element("title", f"{words.moment(p.at)}: coverage {words.percent(p.coverage)}")
            x, height = frame.x(p.at) - width / 2, full * min(1.0, p.coverage)
            yield element(
                "rect", title, class_="coverage", x=x, y=bottom - height, width=width,
                height=height,
            )  # fmt: skip


def _drift_words(p: DriftPoint) -> str:
    if p.level is None:
        return f"{words.moment(p.at)} v{p.version}: insufficient data, {p.rows} rows"
    said = "drift" if p.verdict == "drift" else "no drift"
    level = words.number(p.level)
    return f"{words.moment(p.at)} v{p.version}: {said}, {p.feature} at {level} of the line"


def _loss_words(p: PerformancePoint) -> str:
    said = p.verdict.replace("_", " ")
    value = f"{p.metric} {words.number(p.value)}{_interval(p.low, p.high)}"
    return f"{words.moment(p.at)} v{p.version}: {said}, {value} on {p.rows} rows"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" [{words.number(low)}, {words.number(high)}]"


def _drift_title(points: Sequence[DriftPoint]) -> str:
    found = sum(p.verdict == "drift" for p in points)
    return (
        f"Drift reports from {words.moment(points[0].at)} to {words.moment(points[-1].at)}: "
        f"{found} of {len(points)} found drift"
    )


def _performance_title(points: Sequence[PerformancePoint]) -> str:
    found = sum(p.verdict == "degraded" for p in points)
    return (
        f"{points[-1].metric} in the reports from {words.moment(points[0].at)} to "
        f"{words.moment(points[-1].at)}: {found} of {len(points)} found it degraded"
    )
