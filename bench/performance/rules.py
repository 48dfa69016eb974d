"""When a window's error counts as grown, by mlkit and by others, and when a stream's does.

The rules of others as their documents state them; river's detectors are its own, if it is there.
"""

from collections.abc import Callable, Mapping

import cases
import numpy as np
from cases import Rows, World

from mlkit.steps import metrics, performance, rise, slices
from mlkit.steps.metrics import Resampling
from mlkit.steps.performance import Holdout, PerformanceRule

TOLERANCE = 0.1
RULE = PerformanceRule(min_rows=100, tolerance=TOLERANCE)

Alarm = Callable[[World, Rows, Rows], bool]


def _resampling(rows: int) -> Resampling:
    return Resampling(200, 0.95, 0, metrics.block_length(rows, ordered=True))


def mlkit(world: World, known: Rows, found: Rows) -> bool:
    """Return mlkit's verdict on the whole."""
    before, after = (cases.judged(world, rows)[1].losses for rows in (known, found))
    sample = rise.measure(before, ordered=True)
    holdout = Holdout(sample.mean, sample.mean, sample)
    return performance.judge(after, holdout, RULE, _resampling(len(after))).verdict == "degraded"


def intervals_apart(world: World, known: Rows, found: Rows) -> bool:
    """Return whether the bootstrap interval lies above the holdout's and above the tolerance."""
    before, after = (cases.judged(world, rows)[1].losses for rows in (known, found))
    first, second = (
        metrics.mean_interval(each, _resampling(len(each))) for each in (before, after)
    )
    return second.low > max(first.mean * (1 + TOLERANCE), first.high)


def plain_threshold(world: World, known: Rows, found: Rows) -> bool:
    """Return whether the mean is more than the tolerance above the holdout's."""
    before, after = (cases.judged(world, rows)[1].losses for rows in (known, found))
    return bool(after.mean() > (1 + TOLERANCE) * before.mean())


def three_deviations(world: World, known: Rows, found: Rows) -> bool:
    """Return NannyML's rule: beyond mean + 3 sd of the reference's chunks of the same size.

    Its default is ten chunks where no size is given; a reference with fewer than two has none.
    """
    before, after = (cases.judged(world, rows)[1].losses for rows in (known, found))
    size = len(after)
    chunks = [before[at : at + size].mean() for at in range(0, len(before) - size + 1, size)]
    if len(chunks) < 2:
        return False
    return bool(after.mean() > np.mean(chunks) + 3 * np.std(chunks))


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


def streams() -> Mapping[str, Callable[[], object]]:
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
