"""Histograms of a column in the reference and in the current rows, to be drawn side by side.

Shares and quantiles only: whether a difference matters is decided in ``detection``.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np

from mlkit.steps.drift import reference
from mlkit.steps.drift.reference import Measure, Profile

BINS: Final = 24
SHOWN_LABELS: Final = 6
_HEAVY: Final = 30.0  # times the median: a tail this long needs a logarithmic axis
_HOURS: Final = tuple(str(hour) for hour in range(24))
_WITHIN: Final = (0.005, 0.995)  # values beyond these quantiles are counted, not drawn
QUANTILES: Final = (0.05, 0.5, 0.95)


class Pair(msgspec.Struct, frozen=True):
    """One number of the reference and of the current rows."""

    reference: float
    current: float


class Bar(msgspec.Struct, frozen=True):
    """The share of one label among the values of each side."""

    label: str
    reference: float
    current: float


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """The distribution of one column on both sides; shares are of the values that are not missing.

    A number has ``edges``, one more than ``reference`` and ``current`` have bins, the shares
    ``outside`` the edges, and the quantiles at 5, 50 and 95 %. An hour, and a number with few
    distinct values, have one share for each of ``steps``. Labels have ``bars``, those most frequent
    on either side first, and the share of all ``others`` that the reference counts. Hours and
    labels have ``unseen``, the share of values that the reference does not count. A side without
    values has no shares.
    """

    measure: Measure
    present: Pair
    missing: Pair | None
    reference: tuple[float, ...] = ()
    current: tuple[float, ...] = ()
    steps: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()
    logarithmic: bool = False
    outside: Pair | None = None
    reference_quantiles: tuple[float, ...] = ()
    current_quantiles: tuple[float, ...] = ()
    bars: tuple[Bar, ...] = ()
    others: Pair | None = None
    unseen: Pair | None = None


def compare(profile: Profile, column: Any) -> Distribution:
    """Return the distributions of the column of ``profile`` in the reference and in ``column``."""
    if profile.measure == "number":
        return _numbers(profile, reference.numbers(column), len(column))
    texts = reference.labels(column, profile.measure, numeric=profile.numeric)
    present = texts.drop_null()
    counts = np.bincount(
        reference.codes_of(present, profile.labels), minlength=len(profile.labels) + 1
    )
    common = _common(profile, len(present), len(column))
    if profile.measure == "hour":
        return Distribution(**common, **_stepped(profile, counts, _HOURS))
    if profile.numeric and len(profile.labels) <= BINS:
        ordered = tuple(sorted(profile.labels, key=float))
        return Distribution(**common, **_stepped(profile, counts, ordered))
    return Distribution(**common, **_labels(profile, counts))


def _common(profile: Profile, present: int, rows: int) -> dict[str, Any]:
    gaps = profile.rows and rows
    return {
        "measure": profile.measure,
        "present": Pair(profile.present, present),
        "missing": Pair(1 - profile.present / profile.rows, 1 - present / rows) if gaps else None,
    }


def _numbers(profile: Profile, values: np.ndarray, rows: int) -> Distribution:
    sides = [side[np.isfinite(side)] for side in (profile.values, np.sort(values))]
    low, high = _ends(sides)
    heavy = _is_heavy(sides, low, high)
    edges = np.geomspace(low, high, BINS + 1) if heavy else _edges(sides, low, high)
    spread = [_shares(side, edges, len(whole))
              for side, whole in zip(sides, (profile.values, values), strict=True)]  # fmt: skip
    quantiles = [
        tuple(map(float, np.quantile(side, QUANTILES, method="lower"))) if len(side) else ()
        for side in sides
    ]
    lost = [max(0.0, 1 - sum(shares)) if shares else 0.0 for shares in spread]
    return Distribution(
        **_common(profile, len(values), rows),
        edges=tuple(map(float, edges)),
        logarithmic=heavy,
        reference=spread[0],
        current=spread[1],
        outside=Pair(*lost),
        reference_quantiles=quantiles[0],
        current_quantiles=quantiles[1],
    )


def _ends(sides: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return the range that holds the values of both sides but for the outer half percents."""
    ends = [np.quantile(side, _WITHIN, method="lower") for side in sides if len(side)]
    if not ends:
        return 0.0, 0.0
    return min(float(end[0]) for end in ends), max(float(end[1]) for end in ends)


def _is_heavy(sides: Sequence[np.ndarray], low: float, high: float) -> bool:
    medians = [float(np.quantile(side, 0.5, method="lower")) for side in sides if len(side)]
    return low > 0 and high / _HEAVY > max(medians)


def _edges(sides: Sequence[np.ndarray], low: float, high: float) -> np.ndarray:
    """Return the edges of bins of equal width.

    If all values are whole numbers, each bin holds equally many of them; otherwise the histogram
    would look like a comb.
    """
    steps = np.arange(BINS + 1)
    if high - low < 2**53 and all(bool((side == np.rint(side)).all()) for side in sides):
        width = max(1.0, float(np.ceil((high - low + 1) / BINS)))
        return low - 0.5 + width * steps[: int(np.ceil((high - low + 1) / width)) + 1]
    if low == high:
        reach = abs(low) / 2 or 0.5
        low, high = low - reach, high + reach
    parts = steps / BINS
    edges: np.ndarray = (1 - parts) * low + parts * high  # high - low may be infinite
    return edges


def _shares(ordered: np.ndarray, edges: np.ndarray, rows: int) -> tuple[float, ...]:
    """Return the share of ``rows`` in each bin; a value on an edge is in the bin above it."""
    if not rows:
        return ()
    places = np.searchsorted(ordered, edges, side="left")
    places[-1] = np.searchsorted(ordered, edges[-1], side="right")
    return tuple(map(float, np.diff(places) / rows))


def _stepped(profile: Profile, counts: np.ndarray, steps: tuple[str, ...]) -> dict[str, Any]:
    sides = []
    for side in (profile.counts, counts):
        known = dict(zip(profile.labels, side.tolist(), strict=False))  # the last has none
        total = int(side.sum())
        sides.append(tuple(known.get(step, 0) / total for step in steps) if total else ())
    return {
        "steps": steps,
        "reference": sides[0],
        "current": sides[1],
        "unseen": _unseen(profile.counts, counts),
    }


def _unseen(before: np.ndarray, now: np.ndarray) -> Pair | None:
    shares = [float(counts[-1] / max(1, counts.sum())) for counts in (before, now)]
    return Pair(*shares) if any(shares) else None


def _labels(profile: Profile, counts: np.ndarray) -> dict[str, Any]:
    before, now = (each / max(1, int(each.sum())) for each in (profile.counts, counts))
    order = np.argsort(-np.maximum(before[:-1], now[:-1]), kind="stable")
    shown, rest = order[:SHOWN_LABELS], order[SHOWN_LABELS:]
    bars = [Bar(profile.labels[place], float(before[place]), float(now[place])) for place in shown]
    return {
        "bars": tuple(bars),
        "others": Pair(float(before[rest].sum()), float(now[rest].sum())) if len(rest) else None,
        "unseen": _unseen(profile.counts, counts),
    }
