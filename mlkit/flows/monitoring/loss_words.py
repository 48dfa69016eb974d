"""The loss of a check in words that agree with the numbers beside them."""

import numpy as np
import pyarrow as pa

from mlkit.steps import digits
from mlkit.steps.performance import carriers
from mlkit.steps.performance.judge import Holdout, Performance, PerformanceRule
from mlkit.steps.performance.slices import Sheet


def verdict(result: Performance, metric: str, holdout: Holdout, rows: int) -> str:
    """Return the verdict with the loss.

    If only the capped losses have risen significantly, their mean is added.
    """
    if result.value is None:
        said = result.verdict.replace("_", " ")
        return f"{said}: no prediction in the window has an actual that can be judged"
    measured = (
        f"{metric} {result.value:.4g} [{result.low:.4g}, {result.high:.4g}] on {rows} rows, "
        f"{holdout.value:.4g} on the holdout"
    )
    typical = result.typical
    if typical is not None and typical.risen and not result.risen:
        measured += (
            f"; counting no row for more than {typical.cap:.4g}: {typical.value:.4g}, "
            f"{typical.reference:.4g} on the holdout"
        )
    return f"{result.verdict.replace('_', ' ')}: {measured}"


def change(result: Performance, holdout: Holdout, rule: PerformanceRule) -> str:
    """Return the change of an error that did not rise significantly above the tolerance."""
    if result.value is None or result.low is None:
        return "error did not"
    grown = "from {} to {}".format(*digits.alike(holdout.value, result.value, least=4))
    if result.value > holdout.value + rule.tolerance * abs(holdout.value):
        return f"error may have grown ({grown}), but not beyond chance"
    if result.low > holdout.high:
        return f"error grew by less than is tolerated ({grown})"
    return "error did not"


def carried(
    metric: str, rows: pa.Table, losses: np.ndarray, known: Sheet | None
) -> tuple[str, ...]:
    """Return a warning if a few rows carry most of the loss, with their actuals if outliers."""
    found = carriers.find(losses) if metric == "mae" else None
    if found is None:
        return ()
    actuals = np.array(rows["_actual"].to_pylist(), dtype=float)
    spread = 0.0
    if known is not None and known.outcome is not None:
        spread = float(np.sqrt(known.outcome.variance))
    return (f"few_rows: {carriers.in_words(found, actuals, spread)}",)
