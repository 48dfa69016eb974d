"""Has a table moved away from a reference? A verdict needs size, significance and enough rows.

The statistics are in ``distance``, how many rows a correlated series is worth in ``correlation``.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, Self

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit import settings
from mlkit.errors import InvalidInputError
from mlkit.steps import casts, correlation, reference
from mlkit.steps.distance import chi2, false_discovery, ks, ks_detectable, two_proportion
from mlkit.steps.reference import Profile, Reference

__all__ = ["DriftResult", "DriftRule", "chi2", "compare", "compare_tables", "ks"]

Verdict = Literal["drift", "ok", "insufficient_data"]

_LEADING: Final = 3  # labels whose series stand for the correlation of a categorical column


class DriftRule(msgspec.Struct, frozen=True, kw_only=True):
    """When a feature has drifted; ``ordered`` says that the current rows are in time order.

    Rows in time order resemble their neighbours, so they count for fewer. Of rows in any other
    order nothing is known, and a sorted file would look like one value.
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


class FeatureDrift(msgspec.Struct, frozen=True, kw_only=True):
    """One test of one column; ``name`` is the column, or ``missing(column)`` for its gaps.

    ``effect`` is the KS distance, the total variation or the change of the missing share.
    ``p_value`` counts correlated rows as ``effective_rows``; ``detectable`` is the smallest
    effect that could have been told from chance. ``drifted`` is null if nothing can be said: with
    too few rows, or where that smallest effect is above the threshold and nothing was found.
    """

    name: str
    column: str
    kind: Literal["number", "category", "hour", "missing"]
    test: Literal["ks", "chi2", "two_proportion"]
    statistic: float
    p_value: float
    q_value: float = 1.0
    effect: float
    threshold: float
    drifted: bool | None = None
    detectable: float | None = None
    effective_rows: float


class Rows(msgspec.Struct, frozen=True):
    """How many rows were compared."""

    reference: int
    current: int


class DriftResult(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on a table and the evidence for it."""

    verdict: Verdict
    features: tuple[FeatureDrift, ...]
    rows: Rows
    warnings: tuple[str, ...] = ()

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


def compare_tables(first: pa.Table, second: pa.Table, rule: DriftRule) -> DriftResult:
    """Compare the columns that both tables have; what only one has is a warning.

    Raises InvalidInputError if they have none in common.
    """
    kinds = reference.kinds_of(first)
    present = set(second.column_names)
    common = {name: kind for name, kind in kinds.items() if name in present}
    if not common:
        raise InvalidInputError("the two tables have no column in common")
    gone = [name for name in kinds if name not in common]
    added = [name for name in second.column_names if name not in kinds]
    result = compare(reference.summarize(first, common), second, rule)
    notes = (
        *(f"column_missing: '{name}' is only in the reference" for name in gone),
        *(f"column_added: '{name}' is only in the current rows" for name in added),
    )
    return msgspec.structs.replace(result, warnings=(*notes, *result.warnings))


def compare(reference: Reference, current: pa.Table, rule: DriftRule) -> DriftResult:
    """Return the verdict on ``current``, whose columns are found by the reference's names.

    A feature has drifted if its effect reaches the threshold **and** its q value (Benjamini and
    Hochberg over all tests) is at most ``alpha``. Below ``min_rows`` rows nothing is judged, and
    "no drift" is not said of a feature whose rows could not have shown any.
    """
    features: list[FeatureDrift] = []
    warnings: list[str] = []
    for profile in reference.columns:
        column = current.column(profile.name)
        warnings.extend(_type_warnings(profile, column))
        features.extend(_tests(profile, column, rule))
    enough = current.num_rows >= rule.min_rows
    judged = _judge(features, rule) if enough else tuple(features)
    return DriftResult(
        verdict=_verdict(judged),
        features=judged,
        rows=Rows(reference.rows, current.num_rows),
        warnings=(*warnings, *(_blind(judged) if enough else ())),
    )


def _judge(features: Sequence[FeatureDrift], rule: DriftRule) -> tuple[FeatureDrift, ...]:
    adjusted = false_discovery(np.array([feature.p_value for feature in features]))
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
    return feature.detectable is not None and feature.detectable > feature.threshold


def _verdict(features: Sequence[FeatureDrift]) -> Verdict:
    found = {feature.drifted for feature in features}
    return "drift" if True in found else "ok" if False in found else "insufficient_data"


def _tests(profile: Profile, column: Any, rule: DriftRule) -> Iterator[FeatureDrift]:
    """Yield the tests of one column: its values, where both sides have some, and its gaps."""
    if profile.measure == "number":
        values = reference.numbers(column)
        present = len(values)
        if present:
            yield _number(profile, values, rule)
    else:
        texts = reference.labels(column, profile.measure, numeric=profile.numeric)
        present = len(texts) - texts.null_count
        if present and profile.present:
            yield _labels(profile, texts.drop_null(), rule)
    missing = len(column) - present
    if profile.rows and len(column) and (missing or profile.present < profile.rows):
        yield _missing(profile, column, missing, rule)


def _number(profile: Profile, values: np.ndarray, rule: DriftRule) -> FeatureDrift:
    tau = 1.0
    if rule.ordered:
        quartiles = profile.values[[len(profile.values) * part // 4 for part in (1, 2, 3)]]
        tau = correlation.time([values <= quartile for quartile in quartiles])
    distance, p_value = ks(profile.values, values, rows=(profile.present / tau, len(values) / tau))
    return FeatureDrift(
        name=profile.name,
        column=profile.name,
        kind="number",
        test="ks",
        statistic=distance,
        p_value=p_value,
        effect=distance,
        threshold=rule.min_ks,
        detectable=ks_detectable(rule.alpha, profile.present / tau, len(values) / tau),
        effective_rows=len(values) / tau,
    )


def _labels(profile: Profile, texts: Any, rule: DriftRule) -> FeatureDrift:
    places = pc.index_in(texts, pa.array(profile.labels, pa.string()))
    codes = (
        places.to_numpy(zero_copy_only=False)
        if isinstance(places, pa.Array)
        else (places.combine_chunks().to_numpy(zero_copy_only=False))
    )
    unseen = len(profile.labels)
    codes = np.where(np.isnan(codes), unseen, codes).astype(np.int64)
    tau = 1.0
    if rule.ordered:
        tau = correlation.time([codes == code for code in range(min(_LEADING, unseen))])
    counts = np.bincount(codes, minlength=unseen + 1)
    statistic, p_value, variation = chi2(profile.counts, counts, tau=tau)
    return FeatureDrift(
        name=profile.name,
        column=profile.name,
        kind="hour" if profile.measure == "hour" else "category",
        test="chi2",
        statistic=statistic,
        p_value=p_value,
        effect=variation,
        threshold=rule.min_tv,
        effective_rows=len(texts) / tau,
    )


def _missing(profile: Profile, column: Any, missing: int, rule: DriftRule) -> FeatureDrift:
    tau = 1.0
    if rule.ordered:
        gaps = pc.is_null(column, nan_is_null=True).to_numpy()
        tau = correlation.time([gaps])
    z, p_value, change = two_proportion(
        (profile.rows - profile.present, profile.rows), (missing, len(column)), tau=tau
    )
    return FeatureDrift(
        name=f"missing({profile.name})",
        column=profile.name,
        kind="missing",
        test="two_proportion",
        statistic=z,
        p_value=p_value,
        effect=change,
        threshold=rule.min_missing,
        effective_rows=len(column) / tau,
    )


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
                f"rows, which show no distance below {feature.detectable:.2f}, so the verdict "
                "leaves it out; compare more rows or another window"
            )
