"""Collect the rows that break a rule, part by part."""

import numpy as np

from mlkit.steps.tables.tabular import Mask

_AT_ONCE = 1 << 16


class FailingRows:
    """The failing rows of the parts so far; parts without any take no memory.

    >>> found = FailingRows()
    >>> found.add(None, 2)
    >>> found.add(np.array([True]), 1)
    >>> found.mask
    array([False, False,  True])
    """

    def __init__(self) -> None:
        self.behind = 0
        self._masks: list[tuple[int, Mask]] = []

    def add(self, mask: Mask | None, rows: int) -> None:
        """Add the mask of the next ``rows`` rows, None if no row breaks the rule."""
        if mask is not None:
            self._masks.append((self.behind, mask))
        self.behind += rows

    @property
    def mask(self) -> Mask | None:
        """The rows that break the rule, of shape (rows,), or None if none does."""
        if not self._masks:
            return None
        whole = np.zeros(self.behind, dtype=bool)
        for start, mask in self._masks:
            whole[start : start + len(mask)] = mask
        return whole


def first_rows(mask: Mask, most: int) -> list[int]:
    """Return the first rows of a mask, without reading all of it if possible."""
    found: list[int] = []
    for start in range(0, len(mask), _AT_ONCE):
        found += (np.flatnonzero(mask[start : start + _AT_ONCE]) + start).tolist()
        if len(found) >= most:
            break
    return found[:most]
