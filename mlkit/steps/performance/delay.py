"""How long actuals take to come, learned from rows of which some have none yet.

A row without an actual may get one tomorrow, or never: both are told apart here by how many of the
old rows have one (Kaplan and Meier 1958, with rows that never get one as a share that stays).
"""

from typing import Final

import msgspec
import numpy as np

_FEWEST: Final = 20
_TAIL: Final = 0.05  # of the rows are needed to say how the curve goes on
_STILL_COMING: Final = 0.05  # of all actuals, in the last quarter of what was seen


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """``shares[i]`` of all rows have an actual ``delays_s[i]`` seconds after they were served.

    Nothing is known beyond ``horizon_s``; the share that ever gets one is taken to be the last.
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
        """Whether actuals have all but stopped coming before the last quarter of what was seen."""
        earlier = float(self._share(np.array([0.75 * self.horizon_s]))[0])
        return self.ever - earlier <= _STILL_COMING * self.ever

    def quantile(self, share: float) -> float:
        """Return the seconds after which ``share`` of the actuals that ever come are there."""
        place = int(np.searchsorted(self.shares, share * self.ever - 1e-12))
        return float(self.delays_s[min(place, len(self.delays_s) - 1)])

    def come(self, ages_s: np.ndarray) -> np.ndarray:
        """Return for rows of these ages which share of their actuals is expected to be there."""
        return self._share(ages_s) / self.ever

    def outstanding(self, ages_s: np.ndarray) -> np.ndarray:
        """Return how likely rows of these ages, without an actual, are to get one still."""
        share = self._share(ages_s)
        left: np.ndarray = (self.ever - share) / np.maximum(1 - share, 1e-12)
        return left

    def _share(self, ages_s: np.ndarray) -> np.ndarray:
        places = np.searchsorted(self.delays_s, ages_s, side="right")
        found: np.ndarray = np.concatenate([[0.0], self.shares])[places]
        return found


def learn(delays_s: np.ndarray, ages_s: np.ndarray) -> Curve | None:
    """Return the curve of rows that are ``ages_s`` old; ``delays_s`` is NaN without an actual.

    None if there is no actual, or too few rows. The end, where few rows are old enough to tell, is
    left out.

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
    """Return which share of the actuals that these rows will ever have is there.

    ``known`` says which rows have one. Where all are there, the curve does not matter; rows that
    will hardly get one any more are not waited for.
    """
    there = int(known.sum())
    waited_for = float(curve.outstanding(ages_s[~known]).sum())
    return there / (there + waited_for) if there + waited_for > 0 else 1.0


def ripe(curve: Curve, ages_s: np.ndarray, known: np.ndarray, *, least: float) -> int:
    """Return how many of the rows, the oldest first, have at least ``least`` of their actuals.

    What comes first is no fair sample (a churn is known at once, a stay after a month), so rows
    whose actuals are still coming say nothing. A block of rows is ripe by its age or by what is
    there already, and all before it have to be.
    """
    block = max(_FEWEST, -(-len(ages_s) // 64))
    for start in range(0, len(ages_s), block):
        part = slice(start, start + block)
        expected = float(curve.come(ages_s[part]).mean())
        if max(expected, maturity(curve, ages_s[part], known[part])) < least:
            return start
    return len(ages_s)
