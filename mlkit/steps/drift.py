"""Has a table moved away from a reference? A verdict needs size, significance and enough rows.

The statistics are in ``distance``, how many rows a correlated series is worth in ``correlation``.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple, Self

import msgspec
import numpy as np
import pyarrow as pa

from mlkit import settings
from mlkit.errors import InvalidInputError
from mlkit.steps import casts, correlation, moments, reference, scatter
from mlkit.steps.distance import (
    chi2,
    chi2_visible,
    deciles,
    false_discovery,
    ks,
    ks_visible,
    psi,
    two_proportion,
    wasserstein,
)
from mlkit.steps.drift_result import DriftResult, FeatureDrift, Rows, Verdict
from mlkit.steps.reference import Profile, Reference

_PLAIN: Final = 0.25  # a KS distance of a shift by 0.64 standard deviations
_DENSE: Final = 1.25  # times as many rows in the same time make a difference
_LEADING: Final = 3  # labels whose series stand for the correlation of a categorical column


class DriftRule(msgspec.Struct, frozen=True, kw_only=True):
    """When a feature has drifted; ``alpha`` is the chance of a false alarm in one check.

    ``ordered`` says that the current rows are in time order. They resemble their neighbours, so
    they count for fewer. Of rows in any other order nothing is known, and a sorted file would look
    like one value.
    """

    alpha: float = settings.Drift().alpha
    min_rows: int = settings.Drift().min_rows
    min_ks: float = settings.Drift().min_ks
    min_tv: float = settings.Drift().min_tv
    min_missing: float = settings.Drift().min_missing
    ordered: bool = False

    @classmethod
    def from_settings(cls, chosen: settings.Drift, *, ordered: bool = False) -> Self:
        """Return the rule that the settings describe."""
        return cls(
            alpha=chosen.alpha,
            min_rows=chosen.min_rows,
            min_ks=chosen.min_ks,
            min_tv=chosen.min_tv,
            min_missing=chosen.min_missing,
            ordered=ordered,
        )


def compare_tables(
    first: pa.Table,
    second: pa.Table,
    rule: DriftRule,
    *,
    spans_s: tuple[float | None, float | None] = (None, None),
) -> DriftResult:
    """Compare the columns that both tables have; what only one has is a warning.

    With ``rule.ordered`` both are in time order; ``spans_s`` is what they span.

    Raises InvalidInputError if they have none in common.
    """
    kinds = reference.kinds_of(first)
    present = set(second.column_names)
    common = {name: kind for name, kind in kinds.items() if name in present}
    if not common:
        raise InvalidInputError("the two tables have no column in common")
    gone = [name for name in kinds if name not in common]
    added = [name for name in second.column_names if name not in kinds]
    known = reference.summarize(first, common, ordered=rule.ordered)
    known = msgspec.structs.replace(known, span_s=spans_s[0])
    result = compare(known, second, rule, span_s=spans_s[1])
    notes = (
        *(f"column_missing: '{name}' is only in the reference" for name in gone),
        *(f"column_added: '{name}' is only in the current rows" for name in added),
    )
    return msgspec.structs.replace(result, warnings=(*notes, *result.warnings))


def compare(
    reference: Reference, current: pa.Table, rule: DriftRule, *, span_s: float | None = None
) -> DriftResult:
    """Return the verdict on ``current``, whose columns are found by the reference's names.

    A feature has drifted if its effect reaches the threshold **and** its q value (Benjamini and
    Hochberg over the evidence on all) is at most ``alpha``. Below ``min_rows`` rows, of either,
    nothing is judged, and "no drift" is not said of a feature whose rows could not have shown any.
    ``span_s`` is the time that the current rows span.
    """
    features: list[FeatureDrift] = []
    warnings: list[str] = []
    look = _Look(
        rule,
        rule.alpha / max(1, len(reference.columns)),
        reference.sizes,
        _density(reference, current, span_s),
    )
    for profile in reference.columns:
        column = current.column(profile.name)
        warnings.extend(_type_warnings(profile, column))
        features.extend(_tests(profile, column, look))
    enough = min(current.num_rows, reference.rows) >= rule.min_rows
    judged = _judge(features, rule) if enough else tuple(features)
    return DriftResult(
        verdict=_verdict(judged),
        features=judged,
        rows=Rows(reference.rows, current.num_rows),
        warnings=(*warnings, *(_blind(judged) if enough else ())),
        alpha=rule.alpha,
    )


def _judge(features: Sequence[FeatureDrift], rule: DriftRule) -> tuple[FeatureDrift, ...]:
    adjusted = false_discovery(np.array([feature.evidence for feature in features]))
    return tuple(
        msgspec.structs.replace(
            feature, q_value=float(q), drifted=_has_drifted(feature, float(q), rule)
        )
        for feature, q in zip(features, adjusted, strict=True)
    )


def _has_drifted(feature: FeatureDrift, q_value: float, rule: DriftRule) -> bool | None:
    if q_value <= rule.alpha and feature.effect >= feature.threshold:
        return True
    return None if _is_blind(feature) else False


def _is_blind(feature: FeatureDrift) -> bool:
    """Tell whether even a change that nobody would miss might have passed unseen."""
    return feature.visible > max(_PLAIN, feature.threshold)


def _verdict(features: Sequence[FeatureDrift]) -> Verdict:
    found = {feature.drifted for feature in features}
    return "drift" if True in found else "ok" if False in found else "insufficient_data"


Events = Callable[[], Sequence[np.ndarray]]


class _Look(NamedTuple):
    """How the columns are looked at: the rule, the share of alpha of one test, the window sizes.

    ``density`` says how many current rows there are in the time of one row of the reference.
    """

    rule: DriftRule
    alpha: float
    sizes: tuple[int, ...]
    density: float

    def tau(self, known: np.ndarray, rows: int, events: Events) -> float:
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
        usual = scatter.at(known, self.sizes, round(rows / self.density))
        if self.density > _DENSE:
            return float(usual * min(self.density, correlation.time(events())))
        if self.density < 1 / _DENSE:
            return max(1.0, self.density * usual)
        return usual


def _density(reference: Reference, current: pa.Table, span_s: float | None) -> float:
    if not reference.span_s or not span_s or not current.num_rows:
        return 1.0
    return float(current.num_rows / span_s / (reference.rows / reference.span_s))


def _tests(profile: Profile, column: Any, look: _Look) -> Iterator[FeatureDrift]:
    """Yield the tests of one column: its values, where both sides have some, and its gaps."""
    if profile.measure == "number":
        values = reference.numbers(column)
        present = len(values)
        if present:
            yield _number(profile, values, look)
    else:
        texts = reference.labels(column, profile.measure, numeric=profile.numeric)
        present = len(texts) - texts.null_count
        if present and profile.present:
            yield _labels(profile, texts.drop_null(), look)
    missing = len(column) - present
    if profile.rows and len(column) and (missing or profile.present < profile.rows):
        yield _missing(profile, column, missing, look)


def _number(profile: Profile, values: np.ndarray, look: _Look) -> FeatureDrift:
    quartiles = profile.values[[len(profile.values) * part // 4 for part in (1, 2, 3)]]
    tau = look.tau(profile.taus[0], len(values), lambda: [values <= each for each in quartiles])
    sizes = profile.present / tau, len(values) / tau
    ordered = np.sort(values)
    distance, p_value = ks(profile.values, ordered, rows=sizes)
    p_moments = _moments(profile, values, ordered, look)
    stability = psi(*deciles(profile.values, ordered), tau=tau)
    threshold = look.rule.min_ks
    return FeatureDrift(
        name=profile.name,
        column=profile.name,
        kind="number",
        test="ks",
        statistic=distance,
        p_value=p_value,
        p_moments=p_moments,
        effect=distance,
        threshold=threshold,
        moved=wasserstein(profile.values, ordered),
        psi=stability.value,
        psi_usual=stability.usual,
        visible=ks_visible(look.alpha, threshold, _joint(*sizes)),
        effective_rows=sizes[1],
    )


def _moments(
    profile: Profile, values: np.ndarray, ordered: np.ndarray, look: _Look
) -> float | None:
    """Return the p value of the moments of ``values``; none where ties leave none of them.

    A reference of an older program does not know how they scatter in its windows: none, too.
    """
    known = profile.taus[2:]
    scale = moments.scale(profile.values)
    untold = look.rule.ordered and look.sizes and not len(known)
    if untold or not scale.scores.shape[1]:
        return None

    def events(place: int) -> Events:
        return lambda: [moments.series(values, scale)[:, place]]

    taus = [
        look.tau(known[place] if look.sizes else known, len(values), events(place))
        for place in range(scale.scores.shape[1])
    ]
    rows = _joint(profile.present, len(values)) / np.array(taus)
    return moments.p_value(moments.means(ordered, scale), rows)


def _labels(profile: Profile, texts: Any, look: _Look) -> FeatureDrift:
    codes = reference.codes_of(texts, profile.labels)
    unseen = len(profile.labels)
    leading = range(min(_LEADING, unseen))
    tau = look.tau(profile.taus[0], len(codes), lambda: [codes == code for code in leading])
    counts = np.bincount(codes, minlength=unseen + 1)
    statistic, p_value, variation = chi2(profile.counts, counts, tau=tau)
    stability = psi(profile.counts, counts, tau=tau)
    threshold = look.rule.min_tv
    rows = _joint(profile.present / tau, len(texts) / tau)
    return FeatureDrift(
        name=profile.name,
        column=profile.name,
        kind="hour" if profile.measure == "hour" else "category",
        test="chi2",
        statistic=statistic,
        p_value=p_value,
        effect=variation,
        threshold=threshold,
        psi=stability.value,
        psi_usual=stability.usual,
        visible=chi2_visible(look.alpha, threshold, profile.counts, rows),
        effective_rows=len(texts) / tau,
    )


def _missing(profile: Profile, column: Any, missing: int, look: _Look) -> FeatureDrift:
    tau = look.tau(profile.taus[1], len(column), lambda: [reference.gaps(column) == 1])
    before = profile.rows - profile.present
    z, p_value, change = two_proportion((before, profile.rows), (missing, len(column)), tau=tau)
    threshold = look.rule.min_missing
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
        visible=chi2_visible(look.alpha, threshold, counts, rows),
        effective_rows=len(column) / tau,
    )


def _joint(first: float, second: float) -> float:
    """Return how many rows of one sample two samples of these sizes are worth."""
    return first * second / (first + second)


def _type_warnings(profile: Profile, column: Any) -> Iterator[str]:
    wanted = casts.NUMBER if profile.numeric else casts.TIME if profile.measure == "hour" else None
    if wanted is None:
        return
    misfits = casts.cast(column, wanted)
    if misfits.misfit_count:
        example = misfits.misfits[0].value
        yield (
            f"type_changed: '{profile.name}' was {casts.NAMES[wanted]}; {misfits.misfit_count} "
            f"values like {example!r} are none and count as missing"
        )


def _blind(features: Sequence[FeatureDrift]) -> Iterator[str]:
    """Say where a change that matters could not have been told from chance."""
    for feature in features:
        if feature.drifted is None:
            yield (
                f"blind: '{feature.name}' is judged on {feature.effective_rows:.0f} effective "
                f"rows, which show nothing below {feature.visible:.2f} with certainty, so the "
                "verdict leaves it out; compare more rows or a longer window"
            )
