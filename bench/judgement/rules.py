"""What mlkit and others make of a window: an alarm or none, and how alarmed they are.

The others' rules are computed here, fast enough for thousands of windows; ``packages`` asks the
packages themselves about some of the same windows.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from facts import Known, Seen
from scipy import stats

from mlkit.steps.drift import detection, reference
from mlkit.steps.drift.detection import DriftRule

BUDGET_CHECKS = 90  # one false alarm in 90 days of daily checks
_OF_LABELS = np.sqrt(np.log(2))  # Evidently takes Jensen and Shannon's distance to the base e


class Opinion(NamedTuple):
    """Whether there is an alarm, and a score that is the higher the more there is reason for it."""

    alarm: bool
    score: float


Judge = Callable[[np.ndarray], Opinion]
Rule = Callable[[Seen], Opinion]


def judge_all(
    known: np.ndarray, density: float = 1.0
) -> Callable[[np.ndarray], dict[str, Opinion]]:
    """Return what asks every rule about a window.

    ``density`` says how many rows of a window there are in the time of one of the reference.
    """
    own = mlkit(known, density)
    sight = Known(known)
    limits: dict[int, np.ndarray] = {}

    def judge(window: np.ndarray) -> dict[str, Opinion]:
        seen = sight.see(window)
        rows = len(window)
        if rows not in limits:
            limits[rows] = _limits(sight, rows)
        others = {name: rule(seen) for name, rule in _RULES.items()}
        return {MLKIT: own(window), **others, NANNYML: three_deviations(seen, limits[rows])}

    return judge


def mlkit(known: np.ndarray, density: float = 1.0) -> Judge:
    """Return mlkit's check with its defaults and a budget of one false alarm in 90 days."""
    profile = reference.summarize(_table(known), ordered=True)
    profile = msgspec.structs.replace(profile, span_s=density * len(known))
    rule = DriftRule(alpha=1 / BUDGET_CHECKS, ordered=True)

    def judge(window: np.ndarray) -> Opinion:
        found = detection.compare(profile, _table(window), rule, span_s=float(len(window)))
        return Opinion(found.verdict == "drift", -min(f.q_value for f in found.features))

    return judge


def any_p(seen: Seen) -> Opinion:
    """Apply the rule: drift if any test has p < 0.05."""
    return Opinion(bool(seen.p_values.min() < 0.05), _evidence(seen))


def bonferroni(seen: Seen) -> Opinion:
    """Apply the rule of alibi-detect's KSDrift and ChiSquareDrift: p < 0.05 / features."""
    return Opinion(bool(seen.p_values.min() < 0.05 / len(seen.p_values)), _evidence(seen))


def benjamini_hochberg(seen: Seen) -> Opinion:
    """Apply the rule: any q value of Benjamini and Hochberg below 0.05."""
    q_values = stats.false_discovery_control(seen.p_values)
    return Opinion(bool(q_values.min() < 0.05), _evidence(seen))


def half_of_the_columns(seen: Seen) -> Opinion:
    """Apply the rule of Evidently's DataDriftPreset: half of the columns are 0.1 away."""
    distances = seen.divergences * _OF_LABELS if seen.moved is None else seen.moved
    return Opinion(bool(np.mean(distances >= 0.1) >= 0.5), float(distances.max()))


def three_deviations(seen: Seen, limits: np.ndarray) -> Opinion:
    """Apply the rule of NannyML's UnivariateDriftCalculator: any distance beyond its limit."""
    over = seen.divergences / np.maximum(limits, 1e-12)
    return Opinion(bool((over > 1).any()), float(over.max()))


def _limits(known: Known, rows: int) -> np.ndarray:
    """Return the mean + 3 sd of the distances of the reference's chunks, the last one shorter."""
    starts = range(0, len(known.values), rows)
    found = np.array([known.diverge(known.values[start : start + rows]) for start in starts])
    return np.asarray(found.mean(axis=0) + 3 * found.std(axis=0))


def _evidence(seen: Seen) -> float:
    return -float(seen.p_values.min())


def _table(values: np.ndarray) -> pa.Table:
    columns = values.astype(str) if values.dtype.kind == "i" else values
    return pa.table({f"x{place}": columns[:, place] for place in range(values.shape[1])})


MLKIT = "mlkit"
EVIDENTLY = "half of the columns (Evidently)"
NANNYML = "mean + 3 sd (NannyML)"
ALIBI = "Bonferroni (alibi-detect)"

_RULES: Mapping[str, Rule] = {
    "any p < 0.05": any_p,
    ALIBI: bonferroni,
    "Benjamini-Hochberg": benjamini_hochberg,
    EVIDENTLY: half_of_the_columns,
}
NAMES = (MLKIT, *_RULES, NANNYML)
