"""What a window shows beside its reference, measured once for all rules that look at it."""

from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.spatial import distance

from mlkit.steps.drift.distance import ks, wasserstein


class Seen(NamedTuple):
    """One number for each feature.

    ``p_values`` by KS, of labels by chi-squared; ``moved`` is the Wasserstein distance in standard
    deviations of the reference, None of labels; ``divergences`` are those of Jensen and Shannon to
    the base 2, of numbers between the bars of a histogram.
    """

    p_values: np.ndarray
    moved: np.ndarray | None
    divergences: np.ndarray


class Known:
    """A reference, sorted and counted."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self.are_labels = values.dtype.kind == "i"
        self._ordered = np.sort(values, axis=0).T
        self._bins = [_bins(column, labels=self.are_labels) for column in self._ordered]
        pairs = zip(self._ordered, self._bins, strict=True)
        self._shares = [_shares(column, bins) for column, bins in pairs]

    def see(self, window: np.ndarray) -> Seen:
        """Return what ``window`` shows."""
        ordered = np.sort(window, axis=0).T
        if self.are_labels:
            pairs = zip(self._ordered, ordered, strict=True)
            return Seen(np.array([_chi2(*pair) for pair in pairs]), None, self.diverge(window))
        both = [(first, np.ascontiguousarray(second)) for first, second in
                zip(self._ordered, ordered, strict=True)]  # fmt: skip
        p_values = [ks(*pair).p_value for pair in both]
        moved = [wasserstein(*pair, deviation=float(pair[0].std())) for pair in both]
        return Seen(np.array(p_values), np.array(moved), self.diverge(window))

    def diverge(self, window: np.ndarray) -> np.ndarray:
        """Return the distance of Jensen and Shannon of each feature of ``window``."""
        found = []
        for column, bins, known in zip(window.T, self._bins, self._shares, strict=True):
            now = _shares(column, bins)
            rest = max(0.0, 1 - now.sum())  # outside of all bins
            both = np.append(known, 0.0), np.append(now, rest)
            with np.errstate(invalid="ignore"):  # of equal shares it is the root of -1e-17
                found.append(float(np.nan_to_num(distance.jensenshannon(*both, base=2))))
        return np.array(found)


def _bins(column: np.ndarray, *, labels: bool) -> np.ndarray:
    if labels:
        return np.arange(int(column.max()) + 2) - 0.5
    return np.histogram_bin_edges(column, bins="doane")


def _shares(column: np.ndarray, bins: np.ndarray) -> np.ndarray:
    return np.histogram(column, bins)[0] / len(column)


def _chi2(first: np.ndarray, second: np.ndarray) -> float:
    most = int(max(first.max(), second.max())) + 1
    counts = np.array([np.bincount(part, minlength=most) for part in (first, second)])
    counts = counts[:, counts.sum(axis=0) > 0]
    return float(stats.chi2_contingency(counts, correction=False).pvalue)
