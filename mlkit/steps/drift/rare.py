"""Pool labels that are too rare to be compared one by one."""

from typing import Final

import numpy as np

_FEWEST: Final = 5.0  # expected in each cell of a chi-squared test (Cochran 1954)


def pool(reference: np.ndarray, current: np.ndarray, rows: float) -> tuple[np.ndarray, np.ndarray]:
    """Return both vectors of counts with all rare cells summed into the last one.

    A cell is rare if its expected count in ``rows`` independent rows of ``current`` is below five,
    by the shares of both samples together. With the shares of the reference alone, cells would be
    selected by its chance fluctuations, which biases the test. The last cell, of labels that the
    reference has not seen, is always pooled: whether a rare label was seen is chance.

    >>> [part.tolist() for part in pool(np.array([60, 37, 2, 1]), np.array([5, 3, 1, 1]), 10)]
    [[60, 40], [5, 5]]
    """
    total = reference + current
    rare = total * rows < _FEWEST * total.sum()
    rare[-1] = True
    pooled = [np.append(part[~rare], part[rare].sum()) for part in (reference, current)]
    return pooled[0], pooled[1]
