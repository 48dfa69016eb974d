"""What the reports of a model have said lately, as numbers to draw. Newest last; by SQL alone.

A level is a finding on a scale where 1 is the line: a test reaches it if and only if it drifted.
"""

import math
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from mlkit.project import Project, Session
from mlkit.steps.drift import result
from mlkit.store import registry, reports
from mlkit.store.registry import Model
from mlkit.store.reports import DriftReport, Past, PerformanceReport

RECENT: Final = 12  # reports in a line of a table
_SMALLEST: Final = 1e-9
_BELOW: Final = 0.999


class DriftPoint(msgspec.Struct, frozen=True, kw_only=True):
    """One drift report and the feature with the highest level.

    Features of which nothing could be said do not count; without any other both are null.
    """

    at: datetime
    version: int
    verdict: str
    rows: int | None
    feature: str | None
    level: float | None


class DriftHistory(msgspec.Struct, frozen=True, kw_only=True):
    """Reports, and for each test of the last one its level in each."""

    points: tuple[DriftPoint, ...]
    features: dict[str, tuple[float | None, ...]]


class Estimated(msgspec.Struct, frozen=True, kw_only=True):
    """The loss that was expected before the actuals came; ``trusted`` says whether to believe it.

    ``past_error`` is how wrong such estimates were where actuals came since.
    """

    value: float | None
    low: float | None
    high: float | None
    rows: int | None
    trusted: bool | None
    reason: str
    past_error: float | None


class PerformancePoint(msgspec.Struct, frozen=True, kw_only=True):
    """One performance report: the loss with its interval beside the holdout's and its limit."""

    at: datetime
    version: int
    verdict: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    reference: float | None
    limit: float | None
    rows: int | None
    coverage: float | None
    estimated: Estimated | None

    @property
    def level(self) -> float | None:
        """The loss over its limit: 1 is as much as is tolerated."""
        if self.value is None or self.limit is None:
            return None
        return number(self.value / max(self.limit, _SMALLEST))


def of_drift(project: Project, model: str, *, last: int = RECENT) -> DriftHistory:
    """Return what the ``last`` drift reports said; raises NotFoundError."""
    with project.read() as s:
        return drift(s, registry.get_model(s, model), last)


def of_performance(project: Project, model: str) -> tuple[PerformancePoint, ...]:
    """Return what the last performance reports said; raises NotFoundError."""
    with project.read() as s:
        return performance(s, registry.get_model(s, model), RECENT)


def drift(s: Session, model: Model, last: int) -> DriftHistory:
    """Return what the ``last`` drift reports said."""
    found = reports.newest(s, DriftReport, model, last)
    levels = [_levels(past.details) for past in found]
    names = levels[-1] if levels else {}
    return DriftHistory(
        points=tuple(map(_drift_point, found, levels)),
        features={name: tuple(each.get(name) for each in levels) for name in names},
    )


def performance(s: Session, model: Model, last: int) -> tuple[PerformancePoint, ...]:
    """Return what the ``last`` performance reports said."""
    found = reports.newest(s, PerformanceReport, model, last)
    return tuple(map(_performance_point, found))


def number(value: object) -> float | None:
    """Return ``value`` if it is a finite number."""
    if not isinstance(value, int | float) or not -sys.float_info.max <= value <= sys.float_info.max:
        return None
    return float(value)


def level(test: Mapping[str, Any], alpha: float | None) -> float | None:
    """Return the level of a recorded test, None where nothing was judged.

    Of what drifted it is the effect over its threshold. Of the rest it tells how near it came, and
    is less than 1: the effect over its threshold or the evidence, log q / log alpha, whichever is
    less. So a large effect in a window too small to be sure of it stays below the line.

    >>> round(level({"effect": 0.2, "threshold": 0.05, "q_value": 0.6, "drifted": False}, 0.05), 3)
    0.171
    """
    effect, threshold = number(test.get("effect")), number(test.get("threshold"))
    if test.get("drifted") is None or effect is None or threshold is None:
        return None
    size = result.multiple(str(test.get("kind")), effect, threshold)
    if test["drifted"]:
        return max(1.0, size)
    return min(size, _evidence(number(test.get("q_value")), alpha), _BELOW)


def _evidence(q_value: float | None, alpha: float | None) -> float:
    if q_value is None or alpha is None or not (0 < q_value <= 1 and 0 < alpha < 1):
        return 1.0
    return max(0.0, math.log(q_value) / math.log(alpha))


def _levels(details: Mapping[str, Any]) -> dict[str, float | None]:
    alpha = number(details.get("alpha"))
    return {test["name"]: number(level(test, alpha)) for test in details.get("features", ())}


def _drift_point(past: Past, levels: Mapping[str, float | None]) -> DriftPoint:
    judged = {name: value for name, value in levels.items() if value is not None}
    highest = max(judged, key=lambda name: judged[name], default=None)
    return DriftPoint(
        at=past.at,
        version=past.version,
        verdict=past.verdict,
        rows=past.details.get("rows", {}).get("current"),
        feature=highest,
        level=None if highest is None else judged[highest],
    )


def _performance_point(past: Past) -> PerformancePoint:
    found = past.details
    numbers = {
        name: number(found.get(name))
        for name in ("value", "low", "high", "reference", "limit", "coverage")
    }
    return PerformancePoint(
        at=past.at,
        version=past.version,
        verdict=past.verdict,
        metric=found.get("metric", "loss"),
        rows=found.get("rows"),
        estimated=_estimated(found.get("estimated")),
        **numbers,
    )


def _estimated(found: Mapping[str, Any] | None) -> Estimated | None:
    if not found:
        return None
    return Estimated(
        value=number(found.get("value")),
        low=number(found.get("low")),
        high=number(found.get("high")),
        rows=found.get("rows"),
        trusted=found.get("trusted"),
        reason=found.get("reason") or "",
        past_error=number(found.get("past_error")),
    )
