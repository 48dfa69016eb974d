"""Histogram gradient boosting with all trees merged into one, as in ``forest``.

One call of scikit-learn's own predictor evaluates a row on all trees; the leaf values are added to
the baseline in the order of the trees, so that the sums are bit for bit the same.
"""

from typing import Any, Final

import numpy as np
from sklearn.ensemble._hist_gradient_boosting._predictor import _predict_from_raw_data

from mlkit.steps.predictors.forest import halves

_TOGETHER: Final = 10_000  # rows x trees in one call; beyond, tree by tree is faster


class Boosted:
    """A HistGradientBoostingClassifier or -Regressor."""

    def __init__(self, fitted: Any, *, probable: bool) -> None:
        trees = [tree for stage in fitted._predictors for tree in stage]  # noqa: SLF001  # behind the parity check
        self._loss = fitted._loss  # noqa: SLF001
        self._baseline = np.asarray(fitted._baseline_prediction).reshape(-1)  # noqa: SLF001
        self._probable = probable
        self._encode = _encoder(fitted)
        self._features = fitted.n_features_in_
        self._numbers = np.arange(len(trees), dtype=float)
        self._nodes, self._bitsets = _join(trees, self._features)
        self.size_bytes = self._nodes.nbytes
        self._trees = [(tree.nodes, tree.raw_left_cat_bitsets) for tree in trees]
        known, places = fitted._bin_mapper.make_known_categories_bitsets()  # noqa: SLF001
        self._known = known
        self._places = np.append(places, np.uint32(0)).astype(np.uint32)

    def answer(self, matrix: np.ndarray) -> np.ndarray:
        """Return values of shape (rows,), or probabilities of shape (rows, classes)."""
        matrix = self._encode(matrix)
        together = len(matrix) * len(self._numbers) <= _TOGETHER
        raw = self._at_once(matrix) if together else self._tree_by_tree(matrix)
        if self._probable:
            probabilities: np.ndarray = self._loss.predict_proba(raw)
            return probabilities
        values: np.ndarray = self._loss.link.inverse(raw[:, 0])
        return values

    def _at_once(self, matrix: np.ndarray) -> np.ndarray:
        rows, trees, width = len(matrix), len(self._numbers), len(self._baseline)
        repeated = np.empty((rows, trees, self._features + 1))
        repeated[:, :, :-1] = matrix[:, None, :]
        repeated[:, :, -1] = self._numbers
        leaves = np.empty((rows, trees // width + 1, width))
        leaves[:, 0] = self._baseline
        wide = repeated.reshape(-1, self._features + 1)
        found = self._leaves(self._nodes, self._bitsets, wide)
        leaves[:, 1:] = found.reshape(rows, -1, width)
        return np.asfortranarray(np.add.accumulate(leaves, axis=1)[:, -1])

    def _tree_by_tree(self, matrix: np.ndarray) -> np.ndarray:
        raw = np.zeros((len(matrix), len(self._baseline)), order="F")
        raw += self._baseline
        for number, (nodes, bitsets) in enumerate(self._trees):
            raw[:, number % len(self._baseline)] += self._leaves(nodes, bitsets, matrix)
        return raw

    def _leaves(self, nodes: np.ndarray, bitsets: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        out = np.empty(len(matrix))
        _predict_from_raw_data(nodes, matrix, bitsets, self._known, self._places, 1, out)
        return out


def _join(trees: list[Any], features: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the nodes of one tree that selects a tree by column ``features``, and its bitsets."""
    inner = len(trees) - 1
    starts = np.cumsum([inner] + [len(tree.nodes) for tree in trees])
    bits = np.cumsum([0] + [len(tree.raw_left_cat_bitsets) for tree in trees])
    selector = np.zeros(inner, dtype=trees[0].nodes.dtype)
    for node, left, right, middle in halves(len(trees)):
        selector[node]["feature_idx"] = features
        selector[node]["num_threshold"] = middle - 0.5
        selector[node]["left"] = starts[-left - 1] if left < 0 else left
        selector[node]["right"] = starts[-right - 1] if right < 0 else right
    parts = [selector]
    for tree, start, bit in zip(trees, starts, bits, strict=False):
        nodes = tree.nodes.copy()
        branches = nodes["is_leaf"] == 0
        nodes["left"][branches] += np.uint32(start)
        nodes["right"][branches] += np.uint32(start)
        nodes["bitset_idx"][nodes["is_categorical"] == 1] += np.uint32(bit)
        parts.append(nodes)
    bitsets = np.concatenate([tree.raw_left_cat_bitsets for tree in trees])
    return np.concatenate(parts), np.ascontiguousarray(bitsets)


def _encoder(fitted: Any) -> Any:
    """Return the estimator's input encoding: ordinal categories, these columns first."""
    if fitted._preprocessor is None:  # noqa: SLF001
        return lambda matrix: matrix
    coded = np.flatnonzero(fitted.is_categorical_)
    order = np.concatenate([coded, np.flatnonzero(~fitted.is_categorical_)])
    encoder = fitted._preprocessor.named_transformers_["encoder"]  # noqa: SLF001
    known = [np.asarray(values, dtype=float) for values in encoder.categories_]
    known = [values[~np.isnan(values)] for values in known]

    def encode(matrix: np.ndarray) -> np.ndarray:
        result = matrix[:, order]
        for place, values in enumerate(known):
            column = result[:, place]
            found = np.minimum(np.searchsorted(values, column), len(values) - 1)
            result[:, place] = np.where(values[found] == column, found, np.nan)
        return result

    return encode
