"""The design of a comparison: the significance level and the design effect of each test."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np

from mlkit.steps.drift import correlation, design_effect, family, times
from mlkit.steps.drift.reference_columns import Profile, Reference
from mlkit.steps.drift.rule import DriftRule

_DENSE: Final = 1.25  # rates of rows that differ by less than this factor are taken as equal

Events = Callable[[], Sequence[np.ndarray]]
"""Computes indicator series of the current rows, from which their autocorrelation is estimated."""


class Columns(Protocol):
    """Rows to be compared: a table, or something that reads one column at a time."""

    @property
    def num_rows(self) -> int:
        """The number of rows."""

    @property
    def column_names(self) -> Sequence[str]:
        """The names of the columns."""

    def column(self, name: str) -> Any:
        """Return the values of one column."""


class Design(NamedTuple):
    """What holds for every column of a comparison.

    ``alpha`` and ``violation_alpha`` are the significance levels of one test, ``sizes`` the window
    sizes at which the reference has measured design effects. ``density`` is the rate of the current
    rows (rows per second) divided by that of the rows of those windows; ``crowding`` is the rate of
    the reference divided by that of the current rows. Both are 1 if ``timed`` is false: the rates
    are not known.
    """

    rule: DriftRule
    alpha: float
    violation_alpha: float
    sizes: tuple[int, ...]
    density: float
    crowding: float
    timed: bool

    @property
    def same_pace(self) -> bool:
        """Whether the rows come at the same rate, so that the gaps between them can be compared."""
        return self.rule.ordered and self.timed and 1 / _DENSE <= self.density <= _DENSE

    def tau(self, known: np.ndarray, sides: tuple[int, int], events: Events) -> float:
        """Return the design effect of a test; ``sides`` are the rows of reference and window.

        ``known`` are the taus that the reference has measured. Where rows are autocorrelated, more
        of them in the same time carry no more information: the tau of a denser reference is larger
        by the factor ``crowding``. The common tau of n rows of the reference and m current ones
        gives the same variance of a difference: tau (1/n + 1/m) = tau_reference/n + tau_current/m.
        """
        before, rows = sides
        tau = self._window_tau(known, rows, events)
        if tau == 1 or self.crowding <= _DENSE:
            return tau
        return tau * (before + rows * self.crowding) / (before + rows)

    def _window_tau(self, known: np.ndarray, rows: int, events: Events) -> float:
        """Return the design effect of the current rows, from windows of the reference.

        It is that of windows that span as much time, not of windows with as many rows. If current
        rows come at a higher rate, the reference cannot tell how much those between two of its own
        rows are correlated: that factor is estimated from ``events``, series of the current rows.
        These are used as little as possible, because a change in the middle of the window looks
        like autocorrelation; they are all there is if the reference has measured nothing.
        """
        if not self.rule.ordered:
            return 1.0
        if not self.sizes:
            return correlation.time(events())
        usual = design_effect.at(known, self.sizes, round(rows / self.density))
        if self.density > _DENSE:
            return float(usual * min(self.density, correlation.time(events())))
        if self.density < 1 / _DENSE:
            return max(1.0, self.density * usual)
        return usual

    def tau_of_extremes(self, profile: Profile, tau: float, rows: int) -> float:
        """Return the design effect of extreme values, given ``tau``, that of all values."""
        if not (self.rule.ordered and self.sizes):
            return tau
        usual, extreme = (
            design_effect.at(profile.taus[place], self.sizes, round(rows / self.density))
            for place in (0, 2)
        )
        return tau * extreme / usual


def of(reference: Reference, current: Columns, rule: DriftRule, span_s: float | None) -> Design:
    """Return the design of a comparison with ``current`` rows, which span ``span_s`` seconds."""
    watched = sum(len(profile.watched) for profile in reference.columns)
    groups: list[family.Group] = ["margin", "violation"] if watched else ["margin"]
    rates = _rates(reference, current, span_s)
    density, crowding = rates or (1.0, 1.0)
    return Design(
        rule,
        rule.alpha * family.share("margin", groups) / max(1, len(reference.columns)),
        rule.alpha * family.share(groups[-1], groups) / max(1, watched),
        reference.sizes,
        density,
        crowding,
        timed=rates is not None,
    )


def _rates(
    reference: Reference, current: Columns, span_s: float | None
) -> tuple[float, float] | None:
    """Return density and crowding as in ``Design``, None if the times are not known."""
    now = times.rate(current.num_rows, span_s)
    before = times.rate(reference.rows, reference.span_s)
    if now is None or before is None:
        return None
    return now / (reference.rate or before), before / now
