"""How well a classifier tells the rows of a window from those of the reference.

It sees what no single feature shows: features that go together in another way. Any stretch of time
can be told from another to some degree, so the reference's own windows say what is usual.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from scipy import special
from sklearn.ensemble import HistGradientBoostingClassifier

from mlkit.errors import InvalidInputError
from mlkit.steps.drift.result import FeatureDrift

_MOST_ROWS: Final = 5_000  # of either side
_FEWEST_ROWS: Final = 100
_WINDOWS: Final = 16
_FEWEST_WINDOWS: Final = 8
_FOLDS: Final = 4
_PARTS: Final = 5  # of a fold, drawn again for the interval
_ROUNDS: Final = 500
_SHOWN: Final = 3
_CONFIDENCE: Final = 0.95
_MISSING: Final = -1e300  # below all others: scikit-learn fits no column that is missing throughout
_Z80: Final = float(special.ndtri(0.8))

Report = Callable[[str], None]


class Plan(NamedTuple):
    """Which rows are compared: one sample of the reference, windows of it, and the window.

    ``window`` has as many rows as each of ``windows``; all are in row order.
    """

    sample: np.ndarray
    windows: tuple[np.ndarray, ...]
    window: np.ndarray
    length: int


class Sides(NamedTuple):
    """The rows of a plan as one matrix each, of the same columns."""

    sample: np.ndarray
    windows: tuple[np.ndarray, ...]
    window: np.ndarray


class Level(NamedTuple):
    """The smallest effect that matters and the chance of a false alarm."""

    threshold: float
    alpha: float


def plan(reference: int, current: int, *, density: float, ordered: bool, seed: int) -> Plan:
    """Return the places of the rows to compare, of tables with so many rows.

    ``density`` says how many current rows come in the time of one of the reference: its windows
    take as much time. Rows in no order are shuffled. Raises InvalidInputError if there are too few.
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
    sides: Sides, chosen: Plan, names: Sequence[str], level: Level, *, seed: int, report: Report
) -> FeatureDrift:
    """Return how well a classifier tells ``window`` from ``sample``, and how well that is usual.

    The AUC is that of rows which the classifier has not seen: both sides are cut into blocks of
    time, and each block is told by one fitted on all others. The p value is that of the largest of
    the AUCs of the reference's windows against the rest of it, or, beyond all of them, of Student's
    t distribution with their mean and standard deviation; the effect is how far it is above that
    mean. The interval is one of a bootstrap of parts of the blocks. ``names`` are those of the
    matrix columns; several of one feature are written ``feature:part``.
    """
    usual = np.array([
        _placebo(sides, chosen, place, seed, report) for place in range(len(sides.windows))
    ])  # fmt: skip
    report("telling the window from the reference")
    scores = _Scores(sides.sample, sides.window, seed)
    rows = len(sides.window)
    noise = np.sqrt((rows + len(sides.sample) + 1) / (12 * rows * len(sides.sample)))
    scale = max(float(usual.std(ddof=1)), noise) * np.sqrt(1 + 1 / len(usual))
    freedom = len(usual) - 1
    low, high = scores.interval(seed)
    needed = scale * (_Z80 - float(special.stdtrit(freedom, level.alpha)))
    return FeatureDrift(
        name="joint",
        column="joint",
        kind="joint",
        test="auc",
        statistic=scores.auc,
        p_value=_p_value(scores.auc, usual, scale),
        effect=max(0.0, scores.auc - float(usual.mean())),
        threshold=level.threshold,
        visible=float(min(1.0, max(needed, level.threshold + _Z80 * scale))),
        effective_rows=rows * float(min(1.0, (noise / scale) ** 2)),
        examples=scores.worth(names, seed),
        low=low,
        high=high,
    )


def _p_value(auc: float, usual: np.ndarray, scale: float) -> float:
    if auc <= usual.max():
        return float((1 + (usual >= auc).sum()) / (1 + len(usual)))
    return float(special.stdtr(len(usual) - 1, -(auc - usual.mean()) / scale))


def _placebo(sides: Sides, chosen: Plan, place: int, seed: int, report: Report) -> float:
    """Return the AUC of a window of the reference against the rest of it."""
    report(f"telling the reference's own windows from it ({place + 1} of {len(sides.windows)})")
    within = np.isin(chosen.sample, chosen.windows[place])
    span = chosen.windows[place]
    if len(span) and np.all(np.diff(chosen.sample) > 0):  # in order: all between its ends
        within = (chosen.sample >= span[0]) & (chosen.sample <= span[-1])
    return _Scores(sides.sample[~within], sides.windows[place], seed).auc


class _Scores:
    """A classifier for each block of time, fitted on the other blocks, and what it says of it."""

    def __init__(self, sample: np.ndarray, window: np.ndarray, seed: int) -> None:
        told = (np.where(np.isnan(side), _MISSING, side) for side in (sample, window))
        self._blocks = [np.array_split(side, _FOLDS) for side in told]
        self._models = [self._fit(fold, seed) for fold in range(_FOLDS)]
        self._better = [self._compare(fold, *self._block(fold)) for fold in range(_FOLDS)]
        self.auc = float(np.mean([part.mean() for part in self._better]))

    def interval(self, seed: int) -> tuple[float, float]:
        """Return the interval of the AUC, parts of the blocks drawn with replacement."""
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

    def worth(self, names: Sequence[str], seed: int) -> dict[str, float]:
        """Return the features without which the AUC falls most, and by how much."""
        rng = np.random.default_rng(seed)
        features = list(dict.fromkeys(name.partition(":")[0] for name in names))
        lost = {}
        for feature in features:
            places = [i for i, name in enumerate(names) if name.partition(":")[0] == feature]
            lost[feature] = self.auc - self._without(places, rng)
        first = sorted(features, key=lambda feature: -lost[feature])[:_SHOWN]
        return {feature: lost[feature] for feature in first if lost[feature] > 0}

    def _without(self, places: Sequence[int], rng: np.random.Generator) -> float:
        """Return the AUC where the columns at ``places`` are of other rows."""
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
        model = HistGradientBoostingClassifier(
            max_iter=40, learning_rate=0.2, max_leaf_nodes=8, max_bins=32, early_stopping=False,
            class_weight="balanced", random_state=seed,
        )  # fmt: skip
        return model.fit(np.concatenate(rest), np.repeat([0, 1], [len(side) for side in rest]))

    def _compare(self, fold: int, sample: np.ndarray, window: np.ndarray) -> np.ndarray:
        """Return how often a row of a part of ``window`` scores above one of ``sample``.

        Of shape (parts, parts); their mean is the AUC.
        """
        model = self._models[fold]
        first, second = (
            np.array_split(model.decision_function(side), _PARTS) for side in (sample, window)
        )
        return np.array([[_above(part, other) for other in map(np.sort, first)] for part in second])


def _above(values: np.ndarray, ordered: np.ndarray) -> float:
    """Return the share of pairs in which one of ``values`` is the larger one; equal is half."""
    below = np.searchsorted(ordered, values, side="left")
    upto = np.searchsorted(ordered, values, side="right")
    return float((below + upto).mean() / (2 * len(ordered)))


def _spread(rows: int, most: int) -> np.ndarray:
    """Return the places of at most ``most`` of so many rows, evenly spread."""
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).astype(np.int64))
