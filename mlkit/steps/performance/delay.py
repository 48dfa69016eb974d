"""The distribution of the label delay, estimated from rows of which some have no actual yet.

Rows without an actual are right-censored: they may get one later, or never. The estimator is Kaplan
and Meier's (1958), as in a cure model: rows that never get an actual are a share that remains.
"""

from typing import Final

import msgspec
import numpy as np

_FEWEST: Final = 20
_TAIL: Final = 0.05  # share of rows that must be old enough for the curve to be known
_STILL_COMING: Final = (
    0.05  # share of actuals that come in the last quarter of the horizon, at most
)


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """The distribution: ``shares[i]`` of all rows have an actual within ``delays_s[i]`` seconds.

    Nothing is known beyond ``horizon_s``; the last share is taken for that of rows that ever get
    an actual.
    """

    delays_s: np.ndarray
    shares: np.ndarray
    horizon_s: float

    @property
    def ever(self) -> float:
        """The share of rows that ever get an actual."""
        return float(self.shares[-1])

    @property
    def settled(self) -> bool:
        """Whether nearly all actuals come before the last quarter of the horizon."""
        earlier = float(self._share(np.array([0.75 * self.horizon_s]))[0])
        return self.ever - earlier <= _STILL_COMING * self.ever

    def quantile(self, share: float) -> float:
        """Return the quantile of the delay, in seconds, over the rows that ever get an actual."""
        place = int(np.searchsorted(self.shares, share * self.ever - 1e-12))
        return float(self.delays_s[min(place, len(self.delays_s) - 1)])

    def come(self, ages_s: np.ndarray) -> np.ndarray:
        """Return the expected share of actuals that have come, F(age) / F(∞), by age."""
        return self._share(ages_s) / self.ever

    def outstanding(self, ages_s: np.ndarray) -> np.ndarray:
        """Return the probability that a row of each age without an actual will still get one.

        (F(∞) - F(age)) / (1 - F(age)).
        """
        share = self._share(ages_s)
        left: np.ndarray = (self.ever - share) / np.maximum(1 - share, 1e-12)
        return left

    def _share(self, ages_s: np.ndarray) -> np.ndarray:
        places = np.searchsorted(self.delays_s, ages_s, side="right")
        found: np.ndarray = np.concatenate([[0.0], self.shares])[places]
        return found


def learn(delays_s: np.ndarray, ages_s: np.ndarray) -> Curve | None:
    """Return the curve from rows that are ``ages_s`` old; ``delays_s`` is NaN without an actual.

    F(t) = 1 - Π (1 - events / at risk) over the delays up to t. Delays for which too few rows are
    old enough are left out. None if there is no actual, or too few rows.

    >>> ages = np.full(100, 90.0)
    >>> delays = np.r_[np.full(40, 1.0), np.full(40, 30.0), np.full(20, np.nan)]
    >>> curve = learn(delays, ages)
    >>> round(curve.ever, 2), curve.quantile(0.5), curve.quantile(0.9)
    (0.8, 1.0, 30.0)
    >>> curve.come(np.array([2.0, 40.0])).round(2).tolist()
    [0.5, 1.0]
    """
    came = ~np.isnan(delays_s)
    if len(ages_s) < _FEWEST or not came.any():
        return None
    seen = np.maximum(np.where(came, delays_s, ages_s), 0.0)
    horizon = float(np.quantile(ages_s, 1 - max(_TAIL, _FEWEST / len(ages_s))))
    moments, places = np.unique(seen, return_inverse=True)
    events = np.bincount(places, weights=came)
    ended = np.bincount(places)
    at_risk = len(seen) - np.r_[0, np.cumsum(ended)[:-1]]
    shares = 1 - np.cumprod(1 - events / at_risk)
    kept = (events > 0) & (moments <= horizon)
    if not kept.any():
        return None
    return Curve(delays_s=moments[kept], shares=shares[kept], horizon_s=horizon)


def maturity(curve: Curve, ages_s: np.ndarray, known: np.ndarray) -> float:
    """Return the share of the actuals that these rows will ever have that has come.

    ``known`` says which rows have one. It is known / (known + Σ P(still to come)) over the rows
    without one, so old rows, which will hardly get one, do not count.
    """
    there = int(known.sum())
    waited_for = float(curve.outstanding(ages_s[~known]).sum())
    return there / (there + waited_for) if there + waited_for > 0 else 1.0


def ripe(curve: Curve, ages_s: np.ndarray, known: np.ndarray, *, least: float) -> int:
    """Return how many of the rows, the oldest first, are mature: ``least`` of the actuals came.

    Early actuals are a biased sample (a churn is known at once, a stay after a month), so rows
    whose actuals are still coming must not be judged. A block of rows is mature by its age or by
    the actuals that it has; all blocks before it must be, too.
    """
    block = max(_FEWEST, -(-len(ages_s) // 64))
    for start in range(0, len(ages_s), block):
        part = slice(start, start + block)
        expected = float(curve.come(ages_s[part]).mean())
        if max(expected, maturity(curve, ages_s[part], known[part])) < least:
            return start
    return len(ages_s)
