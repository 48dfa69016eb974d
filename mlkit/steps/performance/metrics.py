"""How wrong the answers are: a loss for each row, metrics with intervals, paired comparisons.

Everything is a weighted mean over rows, so a bootstrap resample is only a vector of counts.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from mlkit.steps.inputs import bounds
from mlkit.steps.inputs.answers import Predictions

_SMALLEST: Final = float(np.finfo(float).eps)

Metric = Callable[[np.ndarray], float]


class Interval(NamedTuple):
    """A mean and the bootstrap interval around it."""

    mean: float
    low: float
    high: float


class Resampling(NamedTuple):
    """How intervals are made: resamples, their level, their seed, and the length of a block."""

    rounds: int
    confidence: float
    seed: int
    block: int = 1


def primary(answers: Predictions, *, task: str) -> str:
    """Return the metric that decides: mae, log_loss, or error_rate without probabilities."""
    if task == "regression":
        return "mae"
    return "error_rate" if answers.probabilities is None else "log_loss"


def losses(
    metric: str,
    answers: Predictions,
    actuals: Sequence[object],
    classes: Sequence[object] = (),
) -> np.ndarray:
    """Return the loss of each row; their mean is the primary metric.

    ``classes`` names the columns of the probabilities. An actual that the model has never seen
    costs ``-log(epsilon)``, as much as one it called impossible.
    """
    if metric == "mae":
        errors: np.ndarray = np.abs(_floats(answers.values) - _floats(actuals))
        return errors
    if metric == "error_rate" or answers.probabilities is None:
        return np.array([a != b for a, b in zip(answers.values, actuals, strict=True)], dtype=float)
    place = {value: index for index, value in enumerate(classes)}
    chosen = np.array([place.get(actual, -1) for actual in actuals])
    found = answers.probabilities[np.arange(len(chosen)), chosen].astype(float)
    likely = np.clip(np.where(chosen >= 0, found, 0.0), _SMALLEST, 1.0)
    surprise: np.ndarray = -np.log(likely)
    return surprise


def usable(losses: np.ndarray) -> np.ndarray:
    """Tell which losses can be averaged: finite, and no larger than a usable answer allows.

    >>> usable(np.array([1.0, np.nan, np.inf, 1e300])).tolist()
    [True, False, False, False]
    """
    found: np.ndarray = np.abs(losses) <= 2 * bounds.TARGET
    return found


def evaluate(
    answers: Predictions,
    actuals: Sequence[object],
    classes: Sequence[object],
    *,
    task: str,
    resampling: Resampling,
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Return each metric on the holdout, and its bootstrap interval; what is undefined is left out.

    Regression: mae, rmse, r2. Classification: log_loss, accuracy and, for two classes, roc_auc
    and brier.
    """
    make = _regression if task == "regression" else _classification
    table = make(answers, actuals, classes)
    ones = np.ones(len(actuals))
    metrics = {name: metric(ones) for name, metric in table.items()}
    metrics = {name: value for name, value in metrics.items() if np.isfinite(value)}
    samples: dict[str, list[float]] = {name: [] for name in metrics}
    for weights in resamples(len(actuals), resampling):
        for name in metrics:
            samples[name].append(table[name](weights))
    return metrics, {name: _limits(values, resampling) for name, values in samples.items()}


def mean_interval(values: np.ndarray, resampling: Resampling) -> Interval:
    """Return the mean of ``values`` and its percentile bootstrap interval."""
    means = [
        float(weights @ values) / len(values) for weights in resamples(len(values), resampling)
    ]
    return Interval(float(values.mean()), *_limits(means, resampling))


def resamples(rows: int, resampling: Resampling) -> Iterator[np.ndarray]:
    """Yield how often each row is drawn, once for each round.

    With ``block`` > 1 whole runs of neighbours are drawn (circular block bootstrap, Politis and
    Romano 1992): rows in time order resemble their neighbours, and single draws would make the
    interval too narrow.
    """
    rng = np.random.default_rng(resampling.seed)
    block = min(resampling.block, rows)
    draws = -(-rows // block)
    for _ in range(resampling.rounds):
        starts = rng.integers(rows, size=draws)
        drawn = ((starts[:, None] + np.arange(block)) % rows).ravel()[:rows]
        yield np.bincount(drawn, minlength=rows).astype(float)


def block_length(rows: int, *, ordered: bool) -> int:
    """Return the usual length of a block, the cube root of the number of rows; 1 if unordered."""
    return max(1, round(float(rows) ** (1 / 3))) if ordered else 1


def _limits(values: Sequence[float], resampling: Resampling) -> tuple[float, float]:
    tail = (1 - resampling.confidence) / 2
    finite = np.asarray(values)[np.isfinite(values)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [tail, 1 - tail])
    return float(low), float(high)


def _regression(
    answers: Predictions,
    actuals: Sequence[object],
    classes: Sequence[object],  # noqa: ARG001  # one signature for both tasks
) -> Mapping[str, Metric]:
    actual = _floats(actuals)
    error = _floats(answers.values) - actual
    with np.errstate(over="ignore"):
        squares = error**2
        centered = (actual - actual.mean()) if len(actual) else actual
        squared_centered = centered**2

    def r2(weights: np.ndarray) -> float:
        total = weights.sum()
        spread = weights @ squared_centered - (weights @ centered) ** 2 / total
        return float(1 - weights @ squares / spread) if spread > 0 else float("nan")

    return {
        "mae": _mean(np.abs(error)),
        "rmse": lambda weights: float(np.sqrt(weights @ squares / weights.sum())),
        "r2": r2,
    }


def _classification(
    answers: Predictions, actuals: Sequence[object], classes: Sequence[object]
) -> Mapping[str, Metric]:
    wrong = losses("error_rate", answers, actuals)
    table: dict[str, Metric] = {"accuracy": _mean(1 - wrong)}
    if answers.probabilities is None:
        return {"error_rate": _mean(wrong), **table}
    table = {"log_loss": _mean(losses("log_loss", answers, actuals, classes)), **table}
    if len(classes) == 2:
        positive = np.array([actual == classes[1] for actual in actuals], dtype=float)
        score = answers.probabilities[:, 1]
        table["roc_auc"] = _area(score, positive)
        table["brier"] = _mean((score - positive) ** 2)
    return table


def _mean(values: np.ndarray) -> Metric:
    return lambda weights: float(weights @ values / weights.sum())


def _area(score: np.ndarray, positive: np.ndarray) -> Metric:
    """Return the weighted probability that a positive scores higher than a negative, ties half."""
    order = np.argsort(score, kind="stable")
    truth = positive[order]
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) > 0])

    def area(weights: np.ndarray) -> float:
        ordered = weights[order]
        positives = np.add.reduceat(ordered * truth, starts)
        negatives = np.add.reduceat(ordered * (1 - truth), starts)
        below = np.cumsum(negatives) - negatives
        pairs = positives.sum() * negatives.sum()
        return float(positives @ (below + negatives / 2) / pairs) if pairs > 0 else float("nan")

    return area


def _floats(values: Sequence[object]) -> np.ndarray:
    return np.array(values, dtype=float)
