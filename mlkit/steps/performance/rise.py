"""Test whether a mean has risen by more than a tolerance, with autocorrelated rows.

No verdict here: ``judge`` tests all rows, ``slices`` parts of them.
"""

from typing import Final

import msgspec
import numpy as np
from scipy import special

from mlkit.steps.drift import correlation, onset

FEWEST: Final = 8  # effective rows that a test of a mean needs


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """The mean and variance of ``rows`` values, and their effective sample size.

    Stored versions call that ``worth``.
    """

    rows: int
    mean: float
    variance: float
    effective_rows: float = msgspec.field(name="worth")


class Rise(msgspec.Struct, frozen=True, kw_only=True):
    """The p value of a rise beyond the tolerance, and the smallest mean that is significant."""

    p_value: float
    limit: float


def measure(values: np.ndarray, *, ordered: bool) -> Sample:
    """Return the sample of ``values``; ``ordered`` says that they are in time order.

    The largest step is removed before the autocorrelation is estimated: a sudden change of the
    mean, as a failure causes, would look like autocorrelation and hide itself.

    >>> measure(np.array([1.0, 3.0]), ordered=False)
    Sample(rows=2, mean=2.0, variance=2.0, effective_rows=2.0)
    """
    rows = len(values)
    tau = correlation.time([onset.without_step(values)]) if ordered and rows > 1 else 1.0
    return Sample(
        rows=rows,
        mean=float(values.mean()) if rows else 0.0,
        variance=float(values.var(ddof=1)) if rows > 1 else 0.0,
        effective_rows=rows / tau,
    )


def compare(known: Sample, found: Sample, *, tolerated: float, alpha: float) -> Rise:
    """Test whether the mean of ``found`` lies more than ``tolerated`` above that of ``known``.

    Welch's t test with effective sample sizes: t = (mean - bound) / sqrt(s₁²/n₁ + s₂²/n₂). The
    design effect of the smaller sample is a poor estimate, so it is taken to be at least that of
    the larger one. The standard error is the larger one of Welch's and the pooled one: a small
    sample of skewed losses often underestimates the variance, and the two err in different
    directions. ``limit`` is the mean above which the p value is below ``alpha``.

    >>> before = Sample(rows=100, mean=1.0, variance=1.0, effective_rows=100)
    >>> after = Sample(rows=100, mean=1.5, variance=1.0, effective_rows=100)
    >>> rise = compare(before, after, tolerated=0.1, alpha=0.05)
    >>> round(rise.p_value, 4), round(rise.limit, 3)
    (0.0033, 1.34)
    """
    bound = known.mean + tolerated
    known, found = _as_alike(known, found), _as_alike(found, known)
    if not are_enough(known, found):
        return Rise(p_value=1.0, limit=bound)
    parts = known.variance / known.effective_rows, found.variance / found.effective_rows
    error = max(float(np.sqrt(sum(parts))), _pooled(known, found))
    if error == 0:
        return Rise(p_value=0.0 if found.mean > bound else 1.0, limit=bound)
    freedom = _freedom(parts, (known.effective_rows, found.effective_rows))
    p_value = float(special.stdtr(freedom, -(found.mean - bound) / error))
    return Rise(p_value=p_value, limit=bound - float(special.stdtrit(freedom, alpha)) * error)


def _as_alike(one: Sample, other: Sample) -> Sample:
    """Return ``one`` with at least the design effect of ``other``, if it is the smaller one."""
    if one.rows >= other.rows:
        return one
    most = one.rows * other.effective_rows / other.rows
    return msgspec.structs.replace(one, effective_rows=min(one.effective_rows, most))


def are_enough(known: Sample, found: Sample) -> bool:
    """Tell whether both samples have enough effective rows to be compared."""
    return (
        min(_as_alike(known, found).effective_rows, _as_alike(found, known).effective_rows)
        >= FEWEST
    )


def interval(sample: Sample, confidence: float) -> tuple[float, float]:
    """Return the confidence interval of the mean by Student's distribution.

    >>> low, high = interval(Sample(rows=9, mean=0.0, variance=9.0, effective_rows=9.0), 0.95)
    >>> round(low, 2), round(high, 2)
    (-2.31, 2.31)
    """
    if sample.effective_rows <= 1:
        return sample.mean, sample.mean
    quantile = float(special.stdtrit(sample.effective_rows - 1, (1 + confidence) / 2))
    half = quantile * float(np.sqrt(sample.variance / sample.effective_rows))
    return sample.mean - half, sample.mean + half


def _pooled(known: Sample, found: Sample) -> float:
    """Return the standard error of the difference if both are samples of one distribution."""
    total = known.rows + found.rows
    mean = (known.rows * known.mean + found.rows * found.mean) / total
    within = (known.rows - 1) * known.variance + (found.rows - 1) * found.variance
    between = known.rows * (known.mean - mean) ** 2 + found.rows * (found.mean - mean) ** 2
    variance = (within + between) / (total - 1)
    return float(np.sqrt(variance * (1 / known.effective_rows + 1 / found.effective_rows)))


def _freedom(parts: tuple[float, float], sizes: tuple[float, float]) -> float:
    """Return the degrees of freedom of Welch and Satterthwaite for ``parts`` v = s²/n.

    (Σ v)² / Σ (v² / (n - 1)), computed from v / Σ v because squares may overflow.
    """
    total = sum(parts)
    if not total:
        return min(sizes) - 1
    shares = zip(parts, sizes, strict=True)
    return 1 / sum((part / total) ** 2 / (rows - 1) for part, rows in shares)
