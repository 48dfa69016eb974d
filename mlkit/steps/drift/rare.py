"""Labels too rare to be compared one by one are compared together."""

from typing import Final

import numpy as np

_FEWEST: Final = 5.0  # expected in each cell of a chi-squared test (Cochran 1954)


def pool(reference: np.ndarray, current: np.ndarray, rows: float) -> tuple[np.ndarray, np.ndarray]:
    """Return both vectors of counts with all cells that are rare in both together as one, the last.

    Rare is what is expected fewer than five times in ``rows`` independent rows of ``current``.
    Rare in the reference alone would be a choice by chance, which the other one does not share.
    The last cell, of labels that the reference has not seen, is one of them: rare labels are seen
    or not by chance.

    >>> [part.tolist() for part in pool(np.array([60, 37, 2, 1]), np.array([5, 3, 1, 1]), 10)]
    [[60, 40], [5, 5]]
    """
    total = reference + current
    rare = total * rows < _FEWEST * total.sum()
    rare[-1] = True
    pooled = [np.append(part[~rare], part[rare].sum()) for part in (reference, current)]
    return pooled[0], pooled[1]
