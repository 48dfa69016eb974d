"""The verdict on a table: the evidence for it, column by column, and how to say it."""

from typing import Final, Literal, get_args

import msgspec
from scipy import special

Verdict = Literal["drift", "ok", "insufficient_data"]
ViolationKind = Literal["unseen", "range", "type"]
DriftKind = Literal[
    "number", "category", "hour", "age", "gap", "length", "words", "missing", ViolationKind, "joint"
]
VIOLATIONS: Final[tuple[ViolationKind, ...]] = get_args(ViolationKind)
_SENSITIVE: Final = 5.0  # by default the thresholds of violations are this much lower

_OF_MOMENTS: Final = 0.75  # of the error of a number's tests


class FeatureDrift(msgspec.Struct, frozen=True, kw_only=True):
    """One test of one column; ``name`` is the column, or ``kind(column)`` for a part of it.

    ``effect`` is the KS distance, the total variation, the change of the missing share, the share
    of violations beyond the usual one, or how far the AUC is above the usual one; beside it
    ``moved``, the Wasserstein distance in standard deviations of the reference, and ``psi``, the
    population stability index, which is ``psi_usual`` where nothing has changed. ``examples`` are
    violations and how many rows have them, or the features that a classifier used and what AUC
    they are worth; ``low`` and ``high`` are the interval of its AUC.
    ``p_value`` is the test's; of numbers ``p_moments`` is that of a second look (see ``moments``),
    and ``q_value`` comes from both. Correlated rows count as ``effective_rows``; ``visible`` is the
    effect that would be found with a power of 80 %. ``drifted`` is null if nothing can be said:
    with too few rows, or where nothing was found and not even a plain change need have been.
    """

    name: str
    column: str
    kind: DriftKind
    test: Literal["ks", "chi2", "two_proportion", "negative_binomial", "auc"]
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
    examples: dict[str, float] = {}
    low: float | None = None
    high: float | None = None

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
        if self.test == "ks":
            shift = 2 * float(special.ndtri((1 + self.visible) / 2))  # of a normal distribution
            return f"a shift by {shift:.2f} standard deviations (KS distance {self.visible:.3f})"
        if self.kind == "joint":
            return f"rows told apart with an AUC {self.visible:.2f} above the usual one"
        what = _SHARES.get(self.kind, "the share of a label")
        return f"{what} moved by {100 * self.visible:.1f} points"

    @property
    def in_examples(self) -> str:
        """The examples in words, empty if there are none."""
        if self.kind == "joint":
            return ", ".join(f"{name} (AUC {worth:.2f})" for name, worth in self.examples.items())
        return ", ".join(
            f"{value!r} ({rows:.0f} row{'s' if rows > 1 else ''})"
            for value, rows in self.examples.items()
        )


_SHARES: Final[dict[DriftKind, str]] = {
    "missing": "the share of missing values",
    "unseen": "the share of labels never seen before",
    "range": "the share of values out of range",
    "type": "the share of values of another type",
}


class RowCounts(msgspec.Struct, frozen=True):
    """How many rows were compared."""

    reference: int
    current: int


class DriftResult(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on a table and the evidence for it; ``alpha`` is the chance of a false alarm.

    ``quiet`` tests looked for violations and found none at all: they count, and are not listed.
    """

    verdict: Verdict
    features: tuple[FeatureDrift, ...]
    rows: RowCounts
    warnings: tuple[str, ...] = ()
    alpha: float
    quiet: int = 0

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
            tests = self.quiet + len(self.features)
            judged = tests - sum(feature.drifted is None for feature in self.features)
            of_all = f" of {tests}" if judged < tests else ""
            return f"ok: no drift in {judged}{of_all} tests on {self.rows.current} rows"
        effects = {feature.name: feature.effect for feature in self.features}
        named = ", ".join(f"{name} ({effects[name]:.2g})" for name in self.drifted[:3])
        more = f" and {len(self.drifted) - 3} more" if len(self.drifted) > 3 else ""
        return f"drift in {named}{more}"


def excess(feature: FeatureDrift) -> float:
    """Return the effect as a multiple of its threshold, to sort by.

    That of violations is low, and they are mostly a sign of what is to be named first.
    """
    return multiple(feature.kind, feature.effect, feature.threshold)


def multiple(kind: str, effect: float, threshold: float) -> float:
    """Return the same of a test that is on record."""
    scale = _SENSITIVE if kind in VIOLATIONS else 1.0
    return effect / max(scale * threshold, 1e-9)
