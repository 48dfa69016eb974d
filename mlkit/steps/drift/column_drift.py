"""The tests of one column of a comparison: its values, what is derived from them, its gaps.

The statistics are in ``distance``, ``moments`` and ``violations``.
"""

from collections.abc import Generator, Iterator, Sequence
from functools import cache
from typing import Any, Final

import numpy as np

from mlkit.steps.drift import correlation, moments, onset, rare, reference, violations
from mlkit.steps.drift.design import Design, Events
from mlkit.steps.drift.distance import (
    chi2,
    chi2_visible,
    deciles,
    ks,
    ks_visible,
    psi,
    two_proportion,
    wasserstein,
)
from mlkit.steps.drift.reference_columns import Profile
from mlkit.steps.drift.result import FeatureDrift, ViolationKind
from mlkit.steps.drift.violations import Found, Level, Usual

_LEADING: Final = 3  # labels whose series stand for the correlation of a categorical column


def of_column(profile: Profile, column: Any, design: Design) -> Iterator[FeatureDrift]:
    """Yield the tests of one column: its values, where both sides have some, and its gaps."""
    fitted, unfit = column, None
    if profile.typed is not None:
        fitted, unfit = violations.fit(profile.typed, column)
    present = yield from _values(profile, fitted, design)
    if unfit is not None:
        tau = design.tau(profile.taus[0], (profile.present, unfit.of), list)
        yield _violation("type", profile, unfit, tau, design)
    missing = len(column) - present - (unfit.hits if unfit else 0)
    if profile.rows and len(column) and (missing or profile.present < profile.rows):
        yield _missing(profile, column, missing, design)


def of_derived(profile: Profile, column: Any, design: Design) -> Iterator[FeatureDrift]:
    """Yield the test of numbers derived from a column; of many texts not all are read."""
    if profile.derived == "words" and len(column):
        read = (len(column) - column.null_count) / len(column)
        design = design._replace(density=design.density * read * profile.rows / profile.present)
    yield from _values(profile, column, design)


def _values(profile: Profile, column: Any, design: Design) -> Generator[FeatureDrift, None, int]:
    """Yield the tests of the values of one column and return how many there are."""
    if profile.measure == "number":
        values = reference.numbers(column)
        if len(values):
            yield from _number(profile, values, design)
        return len(values)
    if profile.measure == "text":
        return int(len(column) - column.null_count)
    texts = reference.labels(column, profile.measure, numeric=profile.numeric).drop_null()
    if len(texts) and profile.present:
        yield from _labels(profile, texts, design)
    return len(texts)


def _violation(
    kind: ViolationKind, profile: Profile, found: Found, tau: float, design: Design
) -> FeatureDrift:
    usual = profile.usual if profile.usual is not None and kind != "type" else Usual(0.0)
    level = Level(profile.present, tau, design.rule.min_violations, design.violation_alpha)
    return violations.test(kind, profile.column, found, usual, level)


def _number(profile: Profile, values: np.ndarray, design: Design) -> Iterator[FeatureDrift]:
    quartiles = profile.values[[len(profile.values) * part // 4 for part in (1, 2, 3)]]
    sides = profile.present, len(values)
    looked_at = correlation.blocks(values)
    tau = design.tau(profile.taus[0], sides, lambda: [looked_at <= each for each in quartiles])
    sizes = sides[0] / tau, sides[1] / tau
    ordered = np.sort(values)
    distance, p_value = ks(profile.values, ordered, rows=sizes)
    p_moments = _moments(profile, values, ordered, design)
    stability = psi(*deciles(profile.values, ordered), tau=tau)
    threshold = design.rule.min_ks
    yield FeatureDrift(
        name=profile.name,
        column=profile.column,
        kind=profile.derived or "number",
        test="ks",
        statistic=distance,
        p_value=p_value,
        p_moments=p_moments,
        effect=distance,
        threshold=threshold,
        moved=_finite(wasserstein(profile.values, ordered, deviation=profile.deviation)),
        psi=stability.value,
        psi_usual=stability.usual,
        visible=ks_visible(design.alpha, threshold, _joint(*sizes)),
        effective_rows=sizes[1],
    )
    watched = "range" in profile.watched
    beyond = violations.out_of_range(ordered, profile.ends) if watched else None
    if beyond is not None:
        yield _violation(
            "range", profile, beyond, design.of_extremes(profile, tau, beyond.of), design
        )


def _moments(
    profile: Profile, values: np.ndarray, ordered: np.ndarray, design: Design
) -> float | None:
    """Return the p value of the moments of ``values``; none where ties leave none of them.

    A reference of an older program does not know how they vary in its windows: none, too.
    """
    known, sides = profile.taus[3:], (profile.present, len(values))
    scale = moments.scale(profile.values)
    if design.rule.ordered and design.sizes:  # borrowed taus may be of fewer moments
        scale = scale._replace(scores=scale.scores[:, : len(known)])
    if not scale.scores.shape[1]:
        return None

    @cache  # one series for all moments, if any asks for it
    def scores() -> np.ndarray:
        return moments.series(correlation.blocks(values), scale)

    def events(place: int) -> Events:
        return lambda: [scores()[:, place]]

    taus = [
        design.tau(known[place] if design.sizes else known, sides, events(place))
        for place in range(scale.scores.shape[1])
    ]
    rows = _joint(*sides) / np.array(taus)
    return moments.p_value(moments.means(ordered, scale), rows)


def _labels(profile: Profile, texts: Any, design: Design) -> Iterator[FeatureDrift]:
    codes = reference.codes_of(texts, profile.labels)
    unseen = len(profile.labels)
    leading = range(min(_LEADING, unseen))
    sides = profile.present, len(codes)
    tau = design.tau(profile.taus[0], sides, lambda: [codes == code for code in leading])
    counts = np.bincount(codes, minlength=unseen + 1)
    known, pooled = rare.pool(profile.counts, counts, len(texts) / tau)
    statistic, p_value, _ = chi2(known, pooled, tau=tau)
    variation = chi2(profile.counts, counts).variation  # of all labels: a size needs no certainty
    stability = psi(profile.counts, counts, tau=tau)
    threshold = design.rule.min_tv
    rows = _joint(profile.present / tau, len(texts) / tau)
    yield FeatureDrift(
        name=profile.name,
        column=profile.column,
        kind=profile.derived or ("hour" if profile.measure == "hour" else "category"),
        test="chi2",
        statistic=statistic,
        p_value=p_value,
        effect=variation,
        threshold=threshold,
        psi=stability.value,
        psi_usual=stability.usual,
        visible=chi2_visible(design.alpha, threshold, known, rows),
        effective_rows=len(texts) / tau,
    )
    watched = "unseen" in profile.watched
    new = violations.unseen(texts, codes, unseen, profile.known) if watched else None
    if new is not None:
        yield _violation("unseen", profile, new, design.of_extremes(profile, tau, new.of), design)


def _missing(profile: Profile, column: Any, missing: int, design: Design) -> FeatureDrift:
    def events() -> Sequence[np.ndarray]:  # a feed that breaks off is no likeness of neighbours
        return [onset.without_step(reference.gaps(column).astype(float))]

    tau = design.tau(profile.taus[1], (profile.rows, len(column)), events)
    before = profile.rows - profile.present
    z, p_value, change = two_proportion((before, profile.rows), (missing, len(column)), tau=tau)
    threshold = design.rule.min_missing
    rows = _joint(profile.rows / tau, len(column) / tau)
    counts = np.array([before, profile.present])
    return FeatureDrift(
        name=f"missing({profile.name})",
        column=profile.name,
        kind="missing",
        test="two_proportion",
        statistic=z,
        p_value=p_value,
        effect=change,
        threshold=threshold,
        visible=chi2_visible(design.alpha, threshold, counts, rows),
        effective_rows=len(column) / tau,
    )


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _joint(first: float, second: float) -> float:
    """Return how many rows of one sample two samples of these sizes are worth."""
    return first * second / (first + second)
