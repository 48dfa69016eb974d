"""The result of a drift check: the verdict, the test of each feature, and both in words."""

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

# A number gets two tests, KS and moments. This share of its significance level goes to the moments:
# they have more power against shifts and larger spreads, which are the usual kinds of drift.
_OF_MOMENTS: Final = 0.75


class FeatureDrift(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one test of one column.

    ``name`` is the column, or ``kind(column)`` for something derived from it. ``effect`` is the
    effect size: the KS distance, the total variation, the change of the share of missing values,
    the share of violations above the normal one, or the AUC above the normal one. ``moved`` is the
    Wasserstein distance in standard deviations of the reference, ``psi`` the population stability
    index, and ``psi_usual`` its expected value without drift. ``examples`` are violations with
    their number of rows, or the features that the classifier used most with their importance (the
    AUC lost without them); ``low`` and ``high`` are the confidence interval of its AUC.

    ``p_value`` is that of the test, ``p_moments`` that of the second test of a number
    (``moments``); ``q_value`` is computed from both. ``effective_rows`` is the effective sample
    size, and ``minimum_detectable`` the smallest effect that is detected with a power of 80 %.
    ``visible`` is its name in 0.1, kept in the JSON until 0.3. ``drifted`` is null if the rows are
    too few, or if nothing was found and even a large change could have been missed.
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
    minimum_detectable: float
    visible: float = 0.0
    effective_rows: float
    examples: dict[str, float] = {}
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        """Give the effect its old name, too."""
        msgspec.structs.force_setattr(self, "visible", self.minimum_detectable)

    @property
    def evidence(self) -> float:
        """The p value of both tests of the column together, by a weighted Bonferroni correction.

        min(1, p_ks / (1 - w), p_moments / w) with the weight w = 0.75 of the moments.
        """
        if self.p_moments is None:
            return self.p_value
        return min(1.0, self.p_value / (1 - _OF_MOMENTS), self.p_moments / _OF_MOMENTS)

    @property
    def minimum_detectable_in_words(self) -> str:
        """The smallest change that is detected in four of five cases (a power of 80 %).

        >>> FeatureDrift(
        ...     name="x", column="x", kind="number", test="ks", statistic=0, p_value=1, effect=0,
        ...     threshold=0.05, minimum_detectable=0.08, effective_rows=1000,
        ... ).minimum_detectable_in_words
        'a shift by 0.20 standard deviations (KS distance 0.080)'
        """
        least = self.minimum_detectable
        if least >= 1:
            return "nothing"
        if self.test == "ks":
            # The KS distance of a normal distribution shifted by d is 2 Phi(d / 2) - 1.
            shift = 2 * float(special.ndtri((1 + least) / 2))
            return f"a shift by {shift:.2f} standard deviations (KS distance {least:.3f})"
        if self.kind == "joint":
            return f"rows told apart with an AUC {least:.2f} above the normal one"
        what = _SHARES.get(self.kind, "the share of a label")
        return f"{what} moved by {100 * least:.1f} points"

    @property
    def in_examples(self) -> str:
        """The examples in words, empty if there are none."""
        if self.kind == "joint":
            return ", ".join(f"{name} (AUC {loss:.2f})" for name, loss in self.examples.items())
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
    """The number of rows on either side."""

    reference: int
    current: int


class DriftResult(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on a table and all tests; ``alpha`` is the probability of a false alarm.

    ``quiet`` is the number of tests for violations that found none: they are not listed, but count
    in the correction for multiple tests.
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
            most = max((feature.effective_rows for feature in self.features), default=0.0)
            if self.rows.reference < self.rows.current:
                return f"insufficient data: {self.rows.reference} rows of the reference"
            less = f", effective sample size {most:.0f}" if 0 < most < self.rows.current else ""
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

    The thresholds of violations are much lower than the others, so their multiples are scaled down:
    otherwise a few violations would always be named before a large change of the distribution.
    """
    return multiple(feature.kind, feature.effect, feature.threshold)


def multiple(kind: str, effect: float, threshold: float) -> float:
    """Return the same for a test of a stored report."""
    scale = _SENSITIVE if kind in VIOLATIONS else 1.0
    return effect / max(scale * threshold, 1e-9)
