"""When a window's error counts as grown, by mlkit and by others, and when a stream's does.

The rules of others as their documents state them; river's detectors are its own, if it is there.
"""

from collections.abc import Callable, Mapping
from typing import Any

import cases
import numpy as np
from cases import Rows, World

from mlkit.steps.performance import capped, judge, metrics, rise, slices
from mlkit.steps.performance.judge import Holdout, PerformanceRule
from mlkit.steps.performance.metrics import Resampling

TOLERANCE = 0.1
RULE = PerformanceRule(min_rows=100, tolerance=TOLERANCE)

Alarm = Callable[[np.ndarray, np.ndarray], bool]
"""Of the losses on the holdout and those of a window."""


def _interval(losses: np.ndarray) -> metrics.Interval:
    block = metrics.block_length(len(losses), ordered=True)
    return metrics.mean_interval(losses, Resampling(200, 0.95, 0, block))


def mlkit(known: np.ndarray, found: np.ndarray) -> bool:
    """Return mlkit's verdict on the whole; the interval that it prints has no part in it."""
    sample = rise.measure(known, ordered=True)
    typical = capped.measure(known, ordered=True)
    holdout = Holdout(sample.mean, sample.mean, sample, typical)
    return judge.judge(found, holdout, RULE, Resampling(2, 0.95, 0)).verdict == "degraded"


def intervals_apart(known: np.ndarray, found: np.ndarray) -> bool:
    """Return whether the bootstrap interval lies above the holdout's and above the tolerance."""
    if found.mean() <= known.mean() * (1 + TOLERANCE):
        return False  # the interval holds the mean
    first, second = _interval(known), _interval(found)
    return second.low > max(first.mean * (1 + TOLERANCE), first.high)


def plain_threshold(known: np.ndarray, found: np.ndarray) -> bool:
    """Return whether the mean is more than the tolerance above the holdout's."""
    return bool(found.mean() > (1 + TOLERANCE) * known.mean())


def three_deviations(known: np.ndarray, found: np.ndarray) -> bool:
    """Return NannyML's rule: beyond mean + 3 sd of the reference's chunks of the same size.

    A reference that holds fewer than two of them has no limit.
    """
    size = len(found)
    chunks = [known[at : at + size].mean() for at in range(0, len(known) - size + 1, size)]
    if len(chunks) < 2:
        return False
    return bool(found.mean() > np.mean(chunks) + 3 * np.std(chunks))


def failing(world: World, known: Rows, found: Rows) -> list[str]:
    """Return the slices that mlkit names."""
    sheet = cases.sheet(world, known)
    after = slices.of_window(cases.schema(world), sheet, cases.judged(world, found)[1])
    return [each.name for each in slices.failing(sheet, after, RULE, confidence=0.95)]


def failing_by_threshold(world: World, known: Rows, found: Rows) -> list[str]:
    """Return the slices whose mean is more than the tolerance above the holdout's."""
    sheet = cases.sheet(world, known)
    after = slices.of_window(cases.schema(world), sheet, cases.judged(world, found)[1])
    return [
        late.cut.name
        for early, late in zip(sheet.inputs, after.inputs, strict=True)
        if late.loss.rows >= 30 and late.loss.mean > (1 + TOLERANCE) * early.loss.mean
    ]


WINDOWS: Mapping[str, Alarm] = {
    "mlkit": mlkit,
    "intervals apart": intervals_apart,
    "plain threshold": plain_threshold,
    "mean + 3 sd (NannyML)": three_deviations,
}


def streams() -> Mapping[str, Callable[[], Any]]:
    """Return river's detectors of a changed error by name; none if river is not installed."""
    try:
        from river import drift
        from river.drift import binary
    except ImportError:
        return {}
    return {
        "ADWIN (river)": drift.ADWIN,
        "DDM (river)": binary.DDM,
        "EDDM (river)": binary.EDDM,
        "HDDM-A (river)": binary.HDDMA,
        "Page-Hinkley (river)": drift.PageHinkley,
    }
