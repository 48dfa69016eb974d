"""Whether a mean has risen by more than is tolerated, where rows resemble their neighbours.

No verdict here: ``judge`` asks of all rows, ``slices`` of some.
"""

from typing import Final

import msgspec
import numpy as np
from scipy import special

from mlkit.steps.drift import correlation, onset

FEWEST: Final = 8  # independent rows; fewer show nothing that a mean could be judged by


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """The mean of ``rows`` values, their variance, and how many independent rows they are worth."""

    rows: int
    mean: float
    variance: float
    worth: float


class Rise(msgspec.Struct, frozen=True, kw_only=True):
    """How likely chance makes a rise beyond what is tolerated so large, and by how much it may."""

    p_value: float
    limit: float


def measure(values: np.ndarray, *, ordered: bool) -> Sample:
    """Return the sample of ``values``; ``ordered`` says that they are in time order.

    A sudden change of their level, which a failure looks like, is not taken for likeness.

    >>> measure(np.array([1.0, 3.0]), ordered=False)
    Sample(rows=2, mean=2.0, variance=2.0, worth=2.0)
    """
    rows = len(values)
    tau = correlation.time([onset.without_step(values)]) if ordered and rows > 1 else 1.0
    return Sample(
        rows=rows,
        mean=float(values.mean()) if rows else 0.0,
        variance=float(values.var(ddof=1)) if rows > 1 else 0.0,
        worth=rows / tau,
    )


def compare(known: Sample, found: Sample, *, tolerated: float, alpha: float) -> Rise:
    """Test whether the mean of ``found`` lies more than ``tolerated`` above that of ``known``.

    Welch's test with effective sizes; how much rows resemble their neighbours, the smaller sample
    shows badly, so it is taken to be no less than in the larger one. The standard error is the
    larger of his and the pooled one: of skewed losses a small sample often shows too little
    variance, and each of the two is wrong in another direction. ``limit`` is the mean from which
    on the p value is below ``alpha``.

    >>> before = Sample(rows=100, mean=1.0, variance=1.0, worth=100)
    >>> after = Sample(rows=100, mean=1.5, variance=1.0, worth=100)
    >>> rise = compare(before, after, tolerated=0.1, alpha=0.05)
    >>> round(rise.p_value, 4), round(rise.limit, 3)
    (0.0033, 1.34)
    """
    bound = known.mean + tolerated
    known, found = _as_alike(known, found), _as_alike(found, known)
    if not tells(known, found):
        return Rise(p_value=1.0, limit=bound)
    parts = known.variance / known.worth, found.variance / found.worth
    error = max(float(np.sqrt(sum(parts))), _pooled(known, found))
    if error == 0:
        return Rise(p_value=0.0 if found.mean > bound else 1.0, limit=bound)
    freedom = _freedom(parts, (known.worth, found.worth))
    p_value = float(special.stdtr(freedom, -(found.mean - bound) / error))
    return Rise(p_value=p_value, limit=bound - float(special.stdtrit(freedom, alpha)) * error)


def _as_alike(one: Sample, other: Sample) -> Sample:
    """Return ``one``, if it is the smaller, as worth no more of its rows than ``other``."""
    if one.rows >= other.rows:
        return one
    worth = one.rows * other.worth / other.rows
    return msgspec.structs.replace(one, worth=min(one.worth, worth))


def tells(known: Sample, found: Sample) -> bool:
    """Tell whether both samples are worth enough independent rows to be compared."""
    return min(_as_alike(known, found).worth, _as_alike(found, known).worth) >= FEWEST


def interval(sample: Sample, confidence: float) -> tuple[float, float]:
    """Return the interval of the mean by Student's distribution.

    >>> low, high = interval(Sample(rows=9, mean=0.0, variance=9.0, worth=9.0), 0.95)
    >>> round(low, 2), round(high, 2)
    (-2.31, 2.31)
    """
    if sample.worth <= 1:
        return sample.mean, sample.mean
    quantile = float(special.stdtrit(sample.worth - 1, (1 + confidence) / 2))
    half = quantile * float(np.sqrt(sample.variance / sample.worth))
    return sample.mean - half, sample.mean + half


def _pooled(known: Sample, found: Sample) -> float:
    """Return the standard error of the difference if both are samples of one distribution."""
    total = known.rows + found.rows
    mean = (known.rows * known.mean + found.rows * found.mean) / total
    within = (known.rows - 1) * known.variance + (found.rows - 1) * found.variance
    between = known.rows * (known.mean - mean) ** 2 + found.rows * (found.mean - mean) ** 2
    variance = (within + between) / (total - 1)
    return float(np.sqrt(variance * (1 / known.worth + 1 / found.worth)))


def _freedom(parts: tuple[float, float], worth: tuple[float, float]) -> float:
    """Return the degrees of freedom of Welch and Satterthwaite, by shares: squares may overflow."""
    total = sum(parts)
    if not total:
        return min(worth) - 1
    shares = zip(parts, worth, strict=True)
    return 1 / sum((part / total) ** 2 / (rows - 1) for part, rows in shares)
