"""Sample weights by recency: newer rows count more, with an exponential half-life."""

import numpy as np

_US = 1e6


def weights(moments_us: np.ndarray, half_life_s: float) -> np.ndarray:
    """Return a weight per row, halved for each ``half_life_s`` before the newest row.

    ``w = 0.5 ** (age / half_life)``, scaled to a mean of 1, so that hyperparameters that are
    relative to the number of rows (a penalty, a minimum leaf size) keep their meaning. A row
    without a time (``-inf``) is as old as the oldest row with one.

    >>> weights(np.array([0.0, 10e6, 20e6]), 10).round(3).tolist()
    [0.429, 0.857, 1.714]
    """
    known = np.isfinite(moments_us)
    if not known.any():
        return np.ones(len(moments_us))
    moments = np.where(known, moments_us, moments_us[known].min())
    ages_s = (moments.max() - moments) / _US
    found: np.ndarray = np.exp2(-ages_s / half_life_s)
    scaled: np.ndarray = found / found.mean()
    return scaled
