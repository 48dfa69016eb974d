"""Split rows into training rows and a holdout, and training rows into folds."""

from typing import NamedTuple

import numpy as np

_SMALL = 2_000
_FOLDS = 3


class Split(NamedTuple):
    """Row indexes, both parts in time order if there is a time column."""

    train: np.ndarray
    holdout: np.ndarray


def hold_out(
    rows: int,
    share: float,
    *,
    moments: np.ndarray | None = None,
    strata: np.ndarray | None = None,
    seed: int = 0,
) -> Split:
    """Hold out the newest ``share`` of the rows if they have ``moments``, else a random one.

    ``strata`` (class codes) keep the class shares equal on both sides of a random split. Rows of
    the same time keep the order of the file, so the split is deterministic.

    >>> hold_out(5, 0.4, moments=np.array([3, 1, 2, 5, 4])).holdout.tolist()
    [4, 3]
    """
    if moments is not None:
        order = np.argsort(moments, kind="stable")
        cut = rows - max(1, round(rows * share))
        return Split(order[:cut], order[cut:])
    chosen = _draw(rows, share, strata, np.random.default_rng(seed))
    return Split(np.flatnonzero(~chosen), np.flatnonzero(chosen))


def folds(
    rows: int, *, ordered: bool, strata: np.ndarray | None = None, seed: int = 0
) -> list[Split]:
    """Return the splits of the training rows for model selection; the holdout is never used.

    Ordered rows: the newest quarter validates, unless all rows before it are of one class.
    Otherwise three stratified folds for few rows, else a random quarter.
    """
    cut = rows - max(1, rows // 4)
    if ordered and (strata is None or len(np.unique(strata[:cut])) > 1):
        return [Split(np.arange(cut), np.arange(cut, rows))]
    if rows >= _SMALL:
        return [hold_out(rows, 0.25, strata=strata, seed=seed)]
    fold = _deal(rows, strata, np.random.default_rng(seed))
    return [Split(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(_FOLDS)]


def _draw(
    rows: int, share: float, strata: np.ndarray | None, rng: np.random.Generator
) -> np.ndarray:
    """Return a mask with ``share`` of each stratum, at least one row of it and never all."""
    chosen = np.zeros(rows, dtype=bool)
    groups = [np.arange(rows)] if strata is None else _groups(strata)
    for group in groups:
        count = min(max(1, round(len(group) * share)), len(group) - 1)
        chosen[rng.permutation(group)[:count]] = True
    return chosen


def _deal(rows: int, strata: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    fold = np.empty(rows, dtype=int)
    start = 0
    for group in [np.arange(rows)] if strata is None else _groups(strata):
        fold[rng.permutation(group)] = (start + np.arange(len(group))) % _FOLDS
        start += len(group)
    return fold


def _groups(strata: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(strata == value) for value in np.unique(strata)]
