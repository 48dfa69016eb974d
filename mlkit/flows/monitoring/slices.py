"""Slices whose loss has risen although the whole loss has not: find them, and their alert."""

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
    """Return the losses of slices of the holdout, and of the same slices of ``rows``.

    Both are None if the version has none: it is of an older release, or has another metric.
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
    """Return the slices whose loss has risen, worst first."""
    if known is None or found is None:
        return ()
    return slices.failing(known, found, rule, confidence=project.settings.train.confidence)


def in_words(metric: str, found: tuple[SliceLoss, ...]) -> str:
    """Return the worst of the failing slices in one line."""
    named = [
        f"{part.name}: {metric} {part.value:.4g} [{part.low:.4g}, {part.high:.4g}], "
        f"holdout {part.reference:.4g}"
        for part in found[:_SHOWN]
    ]
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(named) + more


def matter(found: tuple[SliceLoss, ...], summary: str) -> Matter:
    """Return the matter of the alert ``slice:MODEL``: a slice fails, the whole does not.

    Its kind is ``performance``, so that it causes retraining like the alert about the whole.
    """
    told = {"slices": [part.name for part in found]}
    return Matter("slice", "performance", _said, summary, summary, told)


def _said(details: Mapping[str, Any]) -> str:
    """Return the state of the slices; if the whole fails as well, only its own alert is raised."""
    verdict = details.get("verdict", "insufficient_data")
    if verdict == "ok" and details.get("slices"):
        return "failing"
    return "insufficient_data" if verdict == "insufficient_data" else "ok"
