"""What mlkit and others make of a window: an alarm or none, and how alarmed they are.

The others by the rules that their documents state, each computed here with scipy: how often a rule
alarms does not depend on who computes it.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from scipy import stats
from scipy.spatial import distance

from mlkit.steps import drift, reference
from mlkit.steps.drift import DriftRule

BUDGET_CHECKS = 90  # one false alarm in 90 days of daily checks


class Opinion(NamedTuple):
    """Whether there is an alarm, and a score that is the higher the more there is reason for it."""

    alarm: bool
    score: float


Judge = Callable[[np.ndarray], Opinion]


def mlkit(known: np.ndarray, density: float = 1.0) -> Judge:
    """Return mlkit's check with its defaults and a budget of one false alarm in 90 days.

    ``density`` says how many rows of a window there are in the time of one of the reference.
    """
    profile = reference.summarize(_table(known), ordered=True)
    profile = msgspec.structs.replace(profile, span_s=density * len(known))
    rule = DriftRule(alpha=1 / BUDGET_CHECKS, ordered=True)

    def judge(window: np.ndarray) -> Opinion:
        found = drift.compare(profile, _table(window), rule, span_s=float(len(window)))
        return Opinion(found.verdict == "drift", -min(f.q_value for f in found.features))

    return judge


def any_p(known: np.ndarray, _density: float = 1.0) -> Judge:
    """Return the rule: drift if any KS test has p < 0.05."""
    return _by_p_values(known, lambda p: p.min() < 0.05)


def bonferroni(known: np.ndarray, _density: float = 1.0) -> Judge:
    """Return the rule of alibi-detect's KSDrift: p < 0.05 / features."""
    return _by_p_values(known, lambda p: p.min() < 0.05 / len(p))


def benjamini_hochberg(known: np.ndarray, _density: float = 1.0) -> Judge:
    """Return the rule: any q value of Benjamini and Hochberg below 0.05."""
    return _by_p_values(known, lambda p: stats.false_discovery_control(p).min() < 0.05)


def half_of_the_columns(known: np.ndarray, _density: float = 1.0) -> Judge:
    """Return Evidently's rule: half of the columns are 0.1 away.

    Numbers by the Wasserstein distance in standard deviations, labels by Jensen and Shannon's.
    """
    deviations = known.std(axis=0)

    def far(window: np.ndarray, i: int) -> float:
        if _are_labels(known):
            return _divergence(known[:, i], window[:, i])
        return float(stats.wasserstein_distance(known[::10, i], window[:, i]) / deviations[i])

    def judge(window: np.ndarray) -> Opinion:
        distances = [far(window, i) for i in range(known.shape[1])]
        flagged = np.mean(np.array(distances) >= 0.1)
        return Opinion(bool(flagged >= 0.5), float(np.max(distances)))

    return judge


def three_deviations(known: np.ndarray, _density: float = 1.0) -> Judge:
    """Return NannyML's rule: a distance beyond mean + 3 sd of the reference's own chunks.

    Of numbers the KS distance, of labels Jensen and Shannon's.
    """
    ordered = np.sort(known, axis=0)
    limits: dict[int, np.ndarray] = {}

    def distances(window: np.ndarray) -> np.ndarray:
        measure = _divergence if _are_labels(known) else _distance
        return np.array([measure(ordered[:, i], window[:, i]) for i in range(known.shape[1])])

    def judge(window: np.ndarray) -> Opinion:
        rows = len(window)
        if rows not in limits:
            chunks = [known[at : at + rows] for at in range(0, len(known) - rows + 1, rows)]
            found = np.array([distances(chunk) for chunk in chunks])
            limits[rows] = found.mean(axis=0) + 3 * found.std(axis=0)
        now = distances(window)
        return Opinion(bool((now > limits[rows]).any()), float((now / limits[rows]).max()))

    return judge


def _by_p_values(known: np.ndarray, decide: Callable[[np.ndarray], bool]) -> Judge:
    ordered = np.sort(known, axis=0)

    def p_value(window: np.ndarray, i: int) -> float:
        if _are_labels(known):
            table = [np.bincount(part, minlength=5) for part in (known[:, i], window[:, i])]
            return float(stats.chi2_contingency(table, correction=False).pvalue)
        n, m = len(known), len(window)
        gap = _distance(ordered[:, i], window[:, i])
        return float(stats.kstwo.sf(gap, round(n * m / (n + m))))

    def judge(window: np.ndarray) -> Opinion:
        p_values = np.array([p_value(window, i) for i in range(known.shape[1])])
        return Opinion(bool(decide(p_values)), -float(p_values.min()))

    return judge


def _are_labels(values: np.ndarray) -> bool:
    return values.dtype.kind == "i"


def _divergence(known: np.ndarray, window: np.ndarray) -> float:
    """Return the distance of Jensen and Shannon to the base 2 between the shares of labels."""
    first, second = (np.bincount(part, minlength=5) / len(part) for part in (known, window))
    return float(distance.jensenshannon(first, second, base=2))


def _distance(ordered: np.ndarray, window: np.ndarray) -> float:
    return drift.ks(ordered, np.sort(window)).distance


def _table(values: np.ndarray) -> pa.Table:
    columns = values.astype(str) if _are_labels(values) else values
    return pa.table({f"x{place}": columns[:, place] for place in range(values.shape[1])})


RULES: Mapping[str, Callable[[np.ndarray, float], Judge]] = {
    "mlkit": mlkit,
    "any p < 0.05": any_p,
    "Bonferroni (alibi-detect)": bonferroni,
    "Benjamini-Hochberg": benjamini_hochberg,
    "half of the columns (Evidently)": half_of_the_columns,
    "mean + 3 sd (NannyML)": three_deviations,
}
