"""The latest reports of a model as numbers for charts, the newest last; read by SQL only.

A level puts a result on a common scale with the threshold at 1: a test reaches 1 if and only if
the feature has drifted.
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

RECENT: Final = 12  # reports in the small chart of a table line
_SMALLEST: Final = 1e-9
_BELOW: Final = 0.999


class DriftPoint(msgspec.Struct, frozen=True, kw_only=True):
    """One drift report and the feature with the highest level.

    Features without a verdict do not count; if there are no others, both are null.
    """

    at: datetime
    version: int
    verdict: str
    rows: int | None
    feature: str | None
    level: float | None


class DriftHistory(msgspec.Struct, frozen=True, kw_only=True):
    """Reports, and the level in each report of each test of the last one."""

    points: tuple[DriftPoint, ...]
    features: dict[str, tuple[float | None, ...]]


class Estimated(msgspec.Struct, frozen=True, kw_only=True):
    """The expected loss before the actuals came, and whether it was ``trusted``.

    ``past_error`` is the error of earlier estimates.
    """

    value: float | None
    low: float | None
    high: float | None
    rows: int | None
    trusted: bool | None
    reason: str
    past_error: float | None


class PerformancePoint(msgspec.Struct, frozen=True, kw_only=True):
    """One performance report: the loss with its interval, that of the holdout, and the limit."""

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
        """The loss divided by its limit."""
        if self.value is None or self.limit is None:
            return None
        return number(self.value / max(self.limit, _SMALLEST))


def of_drift(project: Project, model: str, *, last: int = RECENT) -> DriftHistory:
    """Return the ``last`` drift reports of ``model``; raises NotFoundError."""
    with project.read() as s:
        return drift(s, registry.get_model(s, model), last)


def of_performance(project: Project, model: str) -> tuple[PerformancePoint, ...]:
    """Return the latest performance reports of ``model``; raises NotFoundError."""
    with project.read() as s:
        return performance(s, registry.get_model(s, model), RECENT)


def drift(s: Session, model: Model, last: int) -> DriftHistory:
    """Return the ``last`` drift reports of ``model``."""
    found = reports.newest(s, DriftReport, model, last)
    levels = [_levels(past.details) for past in found]
    names = levels[-1] if levels else {}
    return DriftHistory(
        points=tuple(map(_drift_point, found, levels)),
        features={name: tuple(each.get(name) for each in levels) for name in names},
    )


def performance(s: Session, model: Model, last: int) -> tuple[PerformancePoint, ...]:
    """Return the ``last`` performance reports of ``model``."""
    found = reports.newest(s, PerformanceReport, model, last)
    return tuple(map(_performance_point, found))


def number(value: object) -> float | None:
    """Return ``value`` if it is a finite number."""
    if not isinstance(value, int | float) or not -sys.float_info.max <= value <= sys.float_info.max:
        return None
    return float(value)


def level(test: Mapping[str, Any], alpha: float | None) -> float | None:
    """Return the level of a recorded test, None if it was not judged.

    For a feature that has drifted it is effect / threshold, at least 1. For any other it is
    min(effect / threshold, log q / log alpha), below 1: a large effect that is not significant
    stays below 1.

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
