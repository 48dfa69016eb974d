"""The design of a comparison: what each test may err, and how many rows count for one."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np

from mlkit.steps.drift import correlation, design_effect, family, times
from mlkit.steps.drift.reference_columns import Profile, Reference
from mlkit.steps.drift.rule import DriftRule

_DENSE: Final = 1.25  # times as many rows in the same time make a difference

Events = Callable[[], Sequence[np.ndarray]]
"""What makes series of the current rows, from which it is seen how alike neighbours are."""


class Columns(Protocol):
    """Rows to be compared: a table, or what reads one column at a time."""

    @property
    def num_rows(self) -> int:
        """How many rows there are."""

    @property
    def column_names(self) -> Sequence[str]:
        """The names of the columns."""

    def column(self, name: str) -> Any:
        """Return the values of one column."""


class Design(NamedTuple):
    """What holds for every column: the rule, the parts of alpha of one test, the window sizes.

    ``density`` says how many current rows there are in the time of one row of the windows that the
    sizes are about, ``crowding`` how many rows of the reference in the time of a current one; both
    are ``timed`` if that is known.
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
        """Whether as many rows come in the same time, so that their gaps can be compared."""
        return self.rule.ordered and self.timed and 1 / _DENSE <= self.density <= _DENSE

    def tau(self, known: np.ndarray, sides: tuple[int, int], events: Events) -> float:
        """Return how many rows of either side are worth one; ``sides`` are those there are.

        Where rows resemble their neighbours, more of them in the same time say no more: of a denser
        reference as many more count for one.
        """
        before, rows = sides
        tau = self._current(known, rows, events)
        if tau == 1 or self.crowding <= _DENSE:
            return tau
        return tau * (before + rows * self.crowding) / (before + rows)

    def _current(self, known: np.ndarray, rows: int, events: Events) -> float:
        """Return how many current rows are worth one: what windows of the reference have shown.

        Windows that take as much time are meant, not as many rows. What rows resemble each other
        that lie between two of the reference, only the current rows can show: ``events`` are
        series of theirs. A change in the midst of them looks like that, too, and so they are asked
        for no more than that, or where the reference says nothing.
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

    def of_extremes(self, profile: Profile, tau: float, rows: int) -> float:
        """Return how many extreme rows are worth one where so many others are."""
        if not (self.rule.ordered and self.sizes):
            return tau
        usual, extreme = (
            design_effect.at(profile.taus[place], self.sizes, round(rows / self.density))
            for place in (0, 2)
        )
        return tau * extreme / usual


def of(reference: Reference, current: Columns, rule: DriftRule, span_s: float | None) -> Design:
    """Return how ``current`` rows, which span ``span_s`` seconds, are looked at."""
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
    """Return density and crowding, as ``Design`` has them, if the times are known."""
    now = times.rate(current.num_rows, span_s)
    before = times.rate(reference.rows, reference.span_s)
    if now is None or before is None:
        return None
    return now / (reference.rate or before), before / now
