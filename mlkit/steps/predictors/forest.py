"""Merge the trees of a forest into one: a single call of scikit-learn's code predicts a row.

One call per tree repeats the input checks: 4 to 11 ms for a row and 100 trees (measured). Here the
trees are subtrees of a small balanced tree that splits on an extra column, the index of the tree. A
row is repeated for each index, all in one call (14 microseconds). Leaf values are added in the
order of the trees, as in scikit-learn, so the sums are bit for bit the same.
"""

from typing import Any, Final

import numpy as np
from sklearn.tree._tree import Tree

_TOGETHER: Final = 10_000  # rows x trees in one call; beyond, tree by tree is faster
_NO_CHILD: Final = -1


class Forest:
    """A decision tree, random forest or extremely random forest, for one target."""

    def __init__(self, trees: list[Any], features: int, *, probable: bool) -> None:
        self._tree = _join([tree.__getstate__() for tree in trees], features)
        self.size_bytes = int(self._tree.__getstate__()["nodes"].nbytes)
        self._numbers = np.arange(len(trees), dtype=np.float32)
        self._features = features
        self._probable = probable

    def answer(self, matrix: np.ndarray) -> np.ndarray:
        """Return values of shape (rows,), or probabilities of shape (rows, classes)."""
        count = len(self._numbers)
        together = len(matrix) * count <= _TOGETHER
        with np.errstate(over="ignore"):  # too large for float32: infinite
            total = self._at_once(matrix) if together else self._tree_by_tree(matrix)
        total /= count
        return total if self._probable else total[:, 0]

    def _at_once(self, matrix: np.ndarray) -> np.ndarray:
        count = len(self._numbers)
        repeated = np.empty((len(matrix), count, self._features + 1), dtype=np.float32)
        repeated[:, :, :-1] = matrix[:, None, :]
        repeated[:, :, -1] = self._numbers
        leaves = self._tree.predict(repeated.reshape(-1, self._features + 1))
        return np.add.accumulate(leaves.reshape(len(matrix), count, -1), axis=1)[:, -1]

    def _tree_by_tree(self, matrix: np.ndarray) -> np.ndarray:
        wide = np.empty((len(matrix), self._features + 1), dtype=np.float32)
        wide[:, :-1] = matrix
        wide[:, -1] = 0
        total: np.ndarray = self._tree.predict(wide)
        for number in self._numbers[1:]:
            wide[:, -1] = number
            total += self._tree.predict(wide)
        return total


def _join(states: list[dict[str, Any]], features: int) -> Tree:
    """Return one tree that selects among ``states`` by the value of column ``features``."""
    inner = len(states) - 1
    starts = np.cumsum([inner] + [state["node_count"] for state in states])
    kind = states[0]["nodes"].dtype
    selector = np.zeros(inner, dtype=kind)
    for node, left, right, middle in halves(len(states)):
        selector[node]["feature"] = features
        selector[node]["threshold"] = middle - 0.5
        selector[node]["left_child"] = starts[-left - 1] if left < 0 else left
        selector[node]["right_child"] = starts[-right - 1] if right < 0 else right
    nodes = np.concatenate(
        [selector, *(_moved(s["nodes"], at) for s, at in zip(states, starts, strict=False))]
    )
    shape = states[0]["values"].shape[1:]
    values = np.concatenate([np.zeros((inner, *shape)), *(state["values"] for state in states)])
    tree = Tree(features + 1, np.array([shape[1]], dtype=np.intp), 1)
    depth = max(state["max_depth"] for state in states) + inner.bit_length() + 1
    tree.__setstate__(
        {"max_depth": depth, "node_count": len(nodes), "nodes": nodes, "values": values}
    )
    return tree


def halves(count: int) -> list[tuple[int, int, int, int]]:
    """Return a balanced binary tree over ``count`` leaves: node, left, right, first leaf at right.

    A child that is leaf i is written as ``-i - 1``.

    >>> halves(3)
    [(0, -1, 1, 1), (1, -2, -3, 2)]
    """
    nodes: list[tuple[int, int, int, int]] = []

    def grow(first: int, last: int) -> int:
        if last - first == 1:
            return -first - 1
        node = len(nodes)
        nodes.append((node, 0, 0, 0))
        middle = (first + last) // 2
        nodes[node] = (node, grow(first, middle), grow(middle, last), middle)
        return node

    grow(0, count)
    return nodes


def _moved(nodes: np.ndarray, start: int) -> np.ndarray:
    """Return ``nodes`` with child indexes shifted by ``start``."""
    result = nodes.copy()
    inner = result["left_child"] != _NO_CHILD
    result["left_child"][inner] += start
    result["right_child"][inner] += start
    return result
