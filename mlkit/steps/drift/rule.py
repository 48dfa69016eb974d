"""The rule by which a feature has drifted, from the settings."""

from typing import Self

import msgspec

from mlkit.settings import table


class DriftRule(msgspec.Struct, frozen=True, kw_only=True):
    """The thresholds; ``alpha`` is the probability of a false alarm in one check.

    ``ordered`` says that the current rows are in time order. Then autocorrelation is allowed for.
    The order of other rows says nothing: a sorted file would look like one long correlated series.
    """

    alpha: float = table.Drift().alpha
    min_rows: int = table.Drift().min_rows
    min_ks: float = table.Drift().min_ks
    min_tv: float = table.Drift().min_tv
    min_missing: float = table.Drift().min_missing
    min_violations: float = table.Drift().min_violations
    min_joint: float = table.Drift().min_joint
    ordered: bool = False

    @classmethod
    def from_settings(cls, chosen: table.Drift, *, ordered: bool = False) -> Self:
        """Return the rule that the settings describe."""
        return cls(
            alpha=chosen.alpha,
            min_rows=chosen.min_rows,
            min_ks=chosen.min_ks,
            min_tv=chosen.min_tv,
            min_missing=chosen.min_missing,
            min_violations=chosen.min_violations,
            min_joint=chosen.min_joint,
            ordered=ordered,
        )
