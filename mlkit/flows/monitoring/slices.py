"""A part of the inputs that fails while the whole looks fine: named, and an alert of its own."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from mlkit.flows.log import evidence
from mlkit.flows.monitoring.verdicts import Matter
from mlkit.flows.registry import deploy
from mlkit.project import Project
from mlkit.steps.inputs.answers import Predictions
from mlkit.steps.performance import slices
from mlkit.steps.performance.judge import PerformanceRule
from mlkit.steps.performance.slices import Judged, Sheet, SliceLoss
from mlkit.store.registry import ModelVersion

_SHOWN = 3


def sheets(
    version: ModelVersion,
    metric: str,
    rows: pa.Table,
    answers: Predictions,
    losses: np.ndarray,
) -> tuple[Sheet | None, Sheet | None]:
    """Return the losses of parts of the holdout, and of the same parts of ``rows``.

    Both are None if there is nothing to compare: an old version, or one judged by another metric.
    """
    known = evidence.slices(version, metric)
    if known is None or not rows.num_rows:
        return None, None
    judged = Judged(
        table=rows,
        answers=answers,
        actuals=rows["_actual"].to_pylist(),
        losses=losses,
        ordered=True,
    )
    return known, slices.of_window(deploy.input_schema(version), known, judged)


def failing(
    project: Project, known: Sheet | None, found: Sheet | None, rule: PerformanceRule
) -> tuple[SliceLoss, ...]:
    """Return the parts whose loss has risen, worst first."""
    if known is None or found is None:
        return ()
    return slices.failing(known, found, rule, confidence=project.settings.train.confidence)


def in_words(metric: str, found: tuple[SliceLoss, ...]) -> str:
    """Return the worst of the failing parts in one line."""
    named = [
        f"{part.name}: {metric} {part.value:.4g} [{part.low:.4g}, {part.high:.4g}], "
        f"holdout {part.reference:.4g}"
        for part in found[:_SHOWN]
    ]
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(named) + more


def matter(found: tuple[SliceLoss, ...], summary: str) -> Matter:
    """Return what the alert ``slice:MODEL`` is about: a part fails while the whole is fine.

    Of kind ``performance``: it asks for a retraining as that of the whole does.
    """
    told = {"slices": [part.name for part in found]}
    return Matter("slice", "performance", _said, summary, summary, told)


def _said(details: Mapping[str, Any]) -> str:
    """Return how the parts stand; where the whole is bad as well, that has an alert of its own."""
    verdict = details.get("verdict", "insufficient_data")
    if verdict == "ok" and details.get("slices"):
        return "failing"
    return "insufficient_data" if verdict == "insufficient_data" else "ok"
