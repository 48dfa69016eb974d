"""Joint drift: how well a classifier tells the rows of a window from those of the reference.

A classifier two-sample test (Lopez-Paz and Oquab 2017, ICLR) detects what no test of a single
column can: changed dependence between columns. Its usual null distribution, that of independent
rows, does not hold in a log: any two periods can be told apart to some degree. So the null
distribution is estimated from windows of the reference, each against the rest of it.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from scipy import special
from sklearn.ensemble import HistGradientBoostingClassifier

from mlkit.errors import InvalidInputError
from mlkit.progress import Progress
from mlkit.steps.drift.result import FeatureDrift

_MOST_ROWS: Final = 5_000  # of either side
_FEWEST_ROWS: Final = 100
_WINDOWS: Final = 16
_FEWEST_WINDOWS: Final = 8
_FOLDS: Final = 4
_PARTS: Final = 5  # of a fold, resampled by the bootstrap
_ROUNDS: Final = 500
_SHOWN: Final = 3
_CONFIDENCE: Final = 0.95
_MISSING: Final = -1e300  # below all values: scikit-learn cannot fit a column without any value
_Z80: Final = float(special.ndtri(0.8))  # for a power of 80 %


class Plan(NamedTuple):
    """The places of the rows to compare: a sample of the reference, windows of it, and the window.

    ``window`` has as many rows as each of ``windows``; all are in row order. ``length`` is the
    number of rows of the reference that a window spans.
    """

    sample: np.ndarray
    windows: tuple[np.ndarray, ...]
    window: np.ndarray
    length: int


class Sides(NamedTuple):
    """The rows of a plan as matrices with the same columns."""

    sample: np.ndarray
    windows: tuple[np.ndarray, ...]
    window: np.ndarray


class Level(NamedTuple):
    """The smallest effect that matters and the significance level."""

    threshold: float
    alpha: float


def plan(reference: int, current: int, *, density: float, ordered: bool, seed: int) -> Plan:
    """Return the rows to compare, for tables of ``reference`` and ``current`` rows.

    ``density`` is the rate of the current rows divided by that of the reference, so that the
    windows of the reference span as much time. Rows that are not ordered are shuffled. Raises
    InvalidInputError if there are too few.
    """
    length = min(max(1, round(current / density)), reference // _FEWEST_WINDOWS)
    rows = min(_MOST_ROWS, current, length)
    if rows < _FEWEST_ROWS:
        raise InvalidInputError(
            f"{reference} rows of the reference and {current} others are too few for a joint test: "
            f"it needs {_FEWEST_ROWS} in the window and in the same time of the reference, at most "
            f"an eighth of it; there are {rows}"
        )
    count = min(_WINDOWS, reference // length)
    starts = np.linspace(0, reference - length, count).astype(np.int64)
    first, second = np.arange(reference), np.arange(current)
    if not ordered:
        rng = np.random.default_rng(seed)
        first, second = rng.permutation(first), rng.permutation(second)
    return Plan(
        first[_spread(reference, _MOST_ROWS)],
        tuple(first[start : start + length][_spread(length, rows)] for start in starts),
        second[_spread(current, rows)],
        length,
    )


def test(
    sides: Sides, chosen: Plan, names: Sequence[str], level: Level, *, seed: int, report: Progress
) -> FeatureDrift:
    """Test whether a classifier tells the window from the reference better than its own windows.

    The statistic is the cross-validated AUC: both sides are cut into blocks of time, and each block
    is scored by a model fitted on the others. With single rows instead of blocks there would be
    leakage, because neighbouring rows are autocorrelated. The effect is the AUC minus the mean AUC
    of the reference's windows. The interval is that of a bootstrap over parts of the blocks.
    ``names`` are those of the matrix columns; several columns of one feature are called
    ``feature:part``.
    """
    usual = np.array([
        _placebo(sides, chosen, place, seed, report) for place in range(len(sides.windows))
    ])  # fmt: skip
    report("telling the window from the reference")
    scores = _Scores(sides.sample, sides.window, seed)
    noise = _independent_error(len(sides.window), len(sides.sample))
    scale = _prediction_error(usual, noise)
    low, high = scores.interval(seed)
    return FeatureDrift(
        name="joint",
        column="joint",
        kind="joint",
        test="auc",
        statistic=scores.auc,
        p_value=_p_value(scores.auc, usual, scale),
        effect=max(0.0, scores.auc - float(usual.mean())),
        threshold=level.threshold,
        minimum_detectable=_minimum_detectable(scale, len(usual) - 1, level),
        # Standard errors fall with the square root of the rows, so the squared ratio of those of
        # independent and of actual rows is the ratio of effective to actual rows.
        effective_rows=len(sides.window) * float(min(1.0, (noise / scale) ** 2)),
        examples=scores.importances(names, seed),
        low=low,
        high=high,
    )


def _independent_error(n: int, m: int) -> float:
    """Return the standard error of an AUC of 1/2: sqrt((n+m+1) / 12nm) (Mann and Whitney 1947)."""
    return float(np.sqrt((n + m + 1) / (12 * n * m)))


def _prediction_error(usual: np.ndarray, least: float) -> float:
    """Return the standard error of the difference between a further AUC and the mean of ``usual``.

    s sqrt(1 + 1/k) for k windows with the standard deviation s, as in the prediction interval of a
    normal variable. s is at least ``least``, that of independent rows: with few windows a smaller
    one can only be chance.
    """
    return float(max(usual.std(ddof=1), least) * np.sqrt(1 + 1 / len(usual)))


def _minimum_detectable(scale: float, freedom: int, level: Level) -> float:
    """Return the effect that passes both the test and the threshold with a power of 80 %.

    The larger one of (t_{f, 1 - alpha} + z_{0.8}) scale and threshold + z_{0.8} scale.
    """
    critical = -float(special.stdtrit(freedom, level.alpha))
    return float(min(1.0, max(scale * (critical + _Z80), level.threshold + _Z80 * scale)))


def _p_value(auc: float, usual: np.ndarray, scale: float) -> float:
    """Return the p value of ``auc`` among the AUCs of k windows of the reference.

    That of a permutation test, (1 + b) / (1 + k) for b windows with at least this AUC. It is never
    below 1 / (1 + k), too much for a small alpha; so above all windows it is that of Student's t
    with k - 1 degrees of freedom.
    """
    if auc <= usual.max():
        return float((1 + (usual >= auc).sum()) / (1 + len(usual)))
    return float(special.stdtr(len(usual) - 1, -(auc - usual.mean()) / scale))


def _placebo(sides: Sides, chosen: Plan, place: int, seed: int, report: Progress) -> float:
    """Return the AUC of a window of the reference against the rest of it."""
    report(f"telling the reference's own windows from it ({place + 1} of {len(sides.windows)})")
    within = np.isin(chosen.sample, chosen.windows[place])
    span = chosen.windows[place]
    if len(span) and np.all(np.diff(chosen.sample) > 0):  # in order: all between its ends
        within = (chosen.sample >= span[0]) & (chosen.sample <= span[-1])
    return _Scores(sides.sample[~within], sides.windows[place], seed).auc


class _Scores:
    """A classifier for each block of time, fitted on the other blocks, and its scores there."""

    def __init__(self, sample: np.ndarray, window: np.ndarray, seed: int) -> None:
        told = (np.where(np.isnan(side), _MISSING, side) for side in (sample, window))
        self._blocks = [np.array_split(side, _FOLDS) for side in told]
        self._models = [self._fit(fold, seed) for fold in range(_FOLDS)]
        self._better = [self._compare(fold, *self._block(fold)) for fold in range(_FOLDS)]
        self.auc = float(np.mean([part.mean() for part in self._better]))

    def interval(self, seed: int) -> tuple[float, float]:
        """Return the 95 % confidence interval of the AUC: percentiles of a block bootstrap.

        Parts of each block are drawn with replacement, on both sides. Single rows would make the
        interval too narrow, because neighbouring rows are autocorrelated.
        """
        rng = np.random.default_rng(seed)
        rounds = [
            np.mean([
                part[np.ix_(*rng.integers(0, _PARTS, size=(2, _PARTS)))].mean()
                for part in self._better
            ])
            for _ in range(_ROUNDS)
        ]  # fmt: skip
        outside = (1 - _CONFIDENCE) / 2
        low, high = np.quantile(rounds, (outside, 1 - outside))
        return float(low), float(high)

    def importances(self, names: Sequence[str], seed: int) -> dict[str, float]:
        """Return the most important features and the AUC that is lost without each.

        Permutation importance (Breiman 2001, Machine Learning 45): the feature's values are
        shuffled, the models are not fitted again.
        """
        rng = np.random.default_rng(seed)
        features = list(dict.fromkeys(name.partition(":")[0] for name in names))
        lost = {}
        for feature in features:
            places = [i for i, name in enumerate(names) if name.partition(":")[0] == feature]
            lost[feature] = self.auc - self._without(places, rng)
        first = sorted(features, key=lambda feature: -lost[feature])[:_SHOWN]
        return {feature: lost[feature] for feature in first if lost[feature] > 0}

    def _without(self, places: Sequence[int], rng: np.random.Generator) -> float:
        """Return the AUC with the columns at ``places`` shuffled."""
        found = []
        for fold in range(_FOLDS):
            sample, window = self._block(fold)
            both = np.concatenate([sample, window])
            both[:, places] = both[rng.permutation(len(both))][:, places]
            found.append(self._compare(fold, both[: len(sample)], both[len(sample) :]).mean())
        return float(np.mean(found))

    def _block(self, fold: int) -> tuple[np.ndarray, np.ndarray]:
        return self._blocks[0][fold], self._blocks[1][fold]

    def _fit(self, fold: int, seed: int) -> HistGradientBoostingClassifier:
        rest = [
            np.concatenate([block for place, block in enumerate(side) if place != fold])
            for side in self._blocks
        ]
        # Small trees on few bins: 16 windows and 4 folds are 68 fits, of at most 10,000 rows each.
        model = HistGradientBoostingClassifier(
            max_iter=40, learning_rate=0.2, max_leaf_nodes=8, max_bins=32, early_stopping=False,
            class_weight="balanced", random_state=seed,
        )  # fmt: skip
        return model.fit(np.concatenate(rest), np.repeat([0, 1], [len(side) for side in rest]))

    def _compare(self, fold: int, sample: np.ndarray, window: np.ndarray) -> np.ndarray:
        """Return how often a row of a part of ``window`` scores above one of a part of ``sample``.

        The result has the shape (parts, parts); its mean is the AUC of the fold.
        """
        model = self._models[fold]
        first, second = (
            np.array_split(model.decision_function(side), _PARTS) for side in (sample, window)
        )
        return np.array([[_above(part, other) for other in map(np.sort, first)] for part in second])


def _above(values: np.ndarray, ordered: np.ndarray) -> float:
    """Return the share of pairs in which the one of ``values`` is larger; ties count half."""
    below = np.searchsorted(ordered, values, side="left")
    upto = np.searchsorted(ordered, values, side="right")
    return float((below + upto).mean() / (2 * len(ordered)))


def _spread(rows: int, most: int) -> np.ndarray:
    """Return the places of at most ``most`` of ``rows`` rows, evenly spread."""
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).astype(np.int64))
