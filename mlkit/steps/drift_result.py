"""The verdict on a table: the evidence for it, column by column, and how to say it."""

from typing import Final, Literal

import msgspec
from scipy import special

Verdict = Literal["drift", "ok", "insufficient_data"]

_OF_MOMENTS: Final = 0.75


class FeatureDrift(msgspec.Struct, frozen=True, kw_only=True):
    """One test of one column; ``name`` is the column, or ``missing(column)`` for its gaps.

    ``effect`` is the KS distance, the total variation or the change of the missing share; beside
    it ``moved``, the Wasserstein distance in standard deviations of the reference, and ``psi``,
    the population stability index, which is ``psi_usual`` where nothing has changed.
    ``p_value`` is the test's; of numbers ``p_moments`` is that of a second look (see ``moments``),
    and ``q_value`` comes from both. Correlated rows count as ``effective_rows``; ``visible`` is the
    effect that would be found with a power of 80 %. ``drifted`` is null if nothing can be said:
    with too few rows, or where nothing was found and not even a plain change need have been.
    """

    name: str
    column: str
    kind: Literal["number", "category", "hour", "missing"]
    test: Literal["ks", "chi2", "two_proportion"]
    statistic: float
    p_value: float
    p_moments: float | None = None
    q_value: float = 1.0
    effect: float
    threshold: float
    drifted: bool | None = None
    moved: float | None = None
    psi: float | None = None
    psi_usual: float | None = None
    visible: float
    effective_rows: float

    @property
    def evidence(self) -> float:
        """The p value of all looks at the column together: what was found by chance by any.

        The moments have the larger part of the error: they find more of what happens.
        """
        if self.p_moments is None:
            return self.p_value
        return min(1.0, self.p_value / (1 - _OF_MOMENTS), self.p_moments / _OF_MOMENTS)

    @property
    def visible_in_words(self) -> str:
        """The smallest change that would be found in four of five cases.

        >>> FeatureDrift(
        ...     name="x", column="x", kind="number", test="ks", statistic=0, p_value=1, effect=0,
        ...     threshold=0.05, visible=0.08, effective_rows=1000,
        ... ).visible_in_words
        'a shift by 0.20 standard deviations (KS distance 0.080)'
        """
        if self.visible >= 1:
            return "nothing"
        if self.kind == "number":
            shift = 2 * float(special.ndtri((1 + self.visible) / 2))  # of a normal distribution
            return f"a shift by {shift:.2f} standard deviations (KS distance {self.visible:.3f})"
        what = "the share of missing values" if self.kind == "missing" else "the share of a label"
        return f"{what} moved by {100 * self.visible:.1f} points"


class Rows(msgspec.Struct, frozen=True):
    """How many rows were compared."""

    reference: int
    current: int


class DriftResult(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on a table and the evidence for it; ``alpha`` is the chance of a false alarm."""

    verdict: Verdict
    features: tuple[FeatureDrift, ...]
    rows: Rows
    warnings: tuple[str, ...] = ()
    alpha: float

    @property
    def drifted(self) -> tuple[str, ...]:
        """The names of the features that drifted, the largest effect over its threshold first."""
        found = [feature for feature in self.features if feature.drifted]
        return tuple(f.name for f in sorted(found, key=excess, reverse=True))

    @property
    def summary(self) -> str:
        """The verdict in one line."""
        if self.verdict == "insufficient_data":
            worth = max((feature.effective_rows for feature in self.features), default=0.0)
            if self.rows.reference < self.rows.current:
                return f"insufficient data: {self.rows.reference} rows of the reference"
            less = f", worth {worth:.0f} independent ones" if 0 < worth < self.rows.current else ""
            return f"insufficient data: {self.rows.current} rows{less}"
        if self.verdict == "ok":
            judged = [feature for feature in self.features if feature.drifted is not None]
            of_all = f" of {len(self.features)}" if len(judged) < len(self.features) else ""
            return f"ok: no drift in {len(judged)}{of_all} tests on {self.rows.current} rows"
        effects = {feature.name: feature.effect for feature in self.features}
        named = ", ".join(f"{name} ({effects[name]:.2g})" for name in self.drifted[:3])
        more = f" and {len(self.drifted) - 3} more" if len(self.drifted) > 3 else ""
        return f"drift in {named}{more}"


def excess(feature: FeatureDrift) -> float:
    """Return the effect as a multiple of its threshold, to sort by."""
    return feature.effect / max(feature.threshold, 1e-9)
