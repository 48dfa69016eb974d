"""A model that adds up one bent line for each column: of what a loss hangs on, in a few numbers.

On losses of a few thousand rows it beats boosted trees when inputs move, fits in milliseconds, and
answers by numpy alone.
"""

from typing import Final, NamedTuple

import numpy as np

_FEW: Final = 20  # distinct values, each with a bend of its own
_BENDS: Final = 5  # else, at quantiles
_PENALTIES: Final = np.logspace(-1, 6, 29)
_BLOCK: Final = 10_000


class Additive(NamedTuple):
    """The bends ``max(x[column] - knot, 0)`` and their weights; what lies outside is drawn in.

    ``gaps`` has the weight of each column's missing values, which are taken for ``usual``;
    ``whole`` says that there was none.
    """

    start: float
    low: np.ndarray
    high: np.ndarray
    usual: np.ndarray
    whole: np.ndarray
    columns: np.ndarray
    knots: np.ndarray
    weights: np.ndarray
    gaps: np.ndarray


def fit(matrix: np.ndarray, target: np.ndarray) -> Additive:
    """Return the model of ``target`` by ridge regression, its penalty chosen by cross-validation.

    The generalized cross-validation of Golub, Heath and Wahba 1979. Matrix columns may be NaN.
    """
    filled = np.where(np.isnan(matrix).all(axis=0), 0.0, matrix)
    low, high, usual = (f(filled, axis=0) for f in (np.nanmin, np.nanmax, np.nanmean))
    whole = ~np.isnan(matrix).any(axis=0)
    places = [_bends(column) for column in filled.T]
    columns = np.repeat(np.arange(len(places)), [len(found) for found in places])
    knots = np.concatenate([*places, np.zeros(0)])
    none = np.zeros(len(knots)), np.zeros(len(places))
    bare = Additive(0.0, low, high, usual, whole, columns, knots, *none)
    design = _design(bare, matrix)
    centre, scale = design.mean(axis=0), design.std(axis=0)
    scale[scale == 0] = np.inf
    mean = float(target.mean())
    weights = _ridge((design - centre) / scale, target - mean) / scale
    return bare._replace(
        start=mean - float(centre @ weights),
        weights=weights[: len(knots)],
        gaps=weights[len(knots) :],
    )


def answer(model: Additive, matrix: np.ndarray) -> np.ndarray:
    """Return the expectation for each row."""
    weights = np.concatenate([model.weights, model.gaps])
    blocks = range(0, len(matrix), _BLOCK)
    parts = [_design(model, matrix[start : start + _BLOCK]) @ weights for start in blocks]
    found: np.ndarray = model.start + np.concatenate([*parts, np.zeros(0)])
    return found


def outside(model: Additive, matrix: np.ndarray) -> np.ndarray:
    """Return for each column the share of values beyond all that the model was fitted on.

    A missing value is, where there was none.

    >>> model = fit(np.array([[0.0], [1.0], [2.0]]), np.zeros(3))
    >>> outside(model, np.array([[1.0], [3.0]])).tolist()
    [0.5]
    """
    with np.errstate(invalid="ignore"):
        beyond = (matrix < model.low) | (matrix > model.high)
    found: np.ndarray = (beyond | (np.isnan(matrix) & model.whole)).mean(axis=0)
    return found


def _bends(column: np.ndarray) -> np.ndarray:
    """Return where the line of a column bends; nowhere if it has one value."""
    values = np.unique(column[~np.isnan(column)])
    if len(values) > _FEW:
        inner = np.quantile(column[~np.isnan(column)], np.arange(1, _BENDS + 1) / (_BENDS + 1))
        values = np.unique(np.concatenate([values[:1], inner, values[-1:]]))
    return values[:-1]


def _design(model: Additive, matrix: np.ndarray) -> np.ndarray:
    missing = np.isnan(matrix)
    drawn = np.clip(np.where(missing, model.usual, matrix), model.low, model.high)
    bends = np.maximum(drawn[:, model.columns] - model.knots, 0.0)
    return np.column_stack([bends, missing.astype(float)])


def _ridge(design: np.ndarray, target: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(design.T @ design)
    values = np.maximum(values, 0.0)
    along = vectors.T @ (design.T @ target)
    total, rows = float(target @ target), len(target)

    def score(penalty: float) -> float:
        kept = 1 / (values + penalty)
        freedom = 1 + float(values @ kept)
        left = total - float(along**2 @ (kept * (2 - values * kept)))
        return left / (1 - freedom / rows) ** 2 if freedom < rows else np.inf

    best = min(_PENALTIES, key=score)
    weights: np.ndarray = vectors @ (along / (values + best))
    return weights
