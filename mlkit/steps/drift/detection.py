"""The drift verdict on a table: it takes effect size, significance and enough rows.

What holds for every column is in ``design``, the tests of one column in ``column_drift``, the
correction for multiple tests in ``family``.
"""

import msgspec
import pyarrow as pa

from mlkit.errors import InvalidInputError
from mlkit.steps.drift import column_drift, derived, design, family, reference, times
from mlkit.steps.drift.design import Columns
from mlkit.steps.drift.reference_columns import Reference
from mlkit.steps.drift.result import VIOLATIONS, DriftResult, FeatureDrift, RowCounts
from mlkit.steps.drift.rule import DriftRule

__all__ = ("DriftRule", "compare", "compare_tables")


def compare_tables(
    first: pa.Table,
    second: pa.Table,
    rule: DriftRule,
    *,
    spans_s: tuple[float | None, float | None] = (None, None),
) -> DriftResult:
    """Compare the columns that both tables have; a column of one table only is a warning.

    With ``rule.ordered`` the rows of both are in time order; ``spans_s`` are the seconds from the
    first row to the last of each. Raises InvalidInputError if no column is in both.
    """
    kinds = reference.kinds_of(first)
    present = set(second.column_names)
    common = {name: kind for name, kind in kinds.items() if name in present}
    if not common:
        raise InvalidInputError("the two tables have no column in common")
    gone = [name for name in kinds if name not in common]
    added = [name for name in reference.kinds_of(second) if name not in kinds]
    known = reference.summarize(first, common, ordered=rule.ordered)
    known = msgspec.structs.replace(known, span_s=spans_s[0])
    result = compare(known, second, rule, span_s=spans_s[1])
    notes = (
        *(f"column_missing: '{name}' is only in the reference" for name in gone),
        *(f"column_added: '{name}' is only in the current rows" for name in added),
    )
    return msgspec.structs.replace(result, warnings=(*notes, *result.warnings))


def compare(
    reference: Reference, current: Columns, rule: DriftRule, *, span_s: float | None = None
) -> DriftResult:
    """Return the verdict on the columns of ``current`` that the reference has.

    A feature has drifted if its effect reaches the threshold **and** its q value (Benjamini and
    Hochberg over all features) is at most ``alpha``. With fewer than ``min_rows`` rows on either
    side nothing is judged. A feature whose test had too little power gets no verdict, never "no
    drift". ``span_s`` is the time that the current rows span; the age of times is tested if
    ``current`` has the column ``times.MOMENT``.
    """
    features: list[FeatureDrift] = []
    chosen = design.of(reference, current, rule, span_s)
    for profile in reference.columns:
        column, way = current.column(profile.column), profile.derived
        if way is None:
            features.extend(column_drift.of_column(profile, column, chosen))
        elif way != "gap" or chosen.same_pace:
            when = times.moments(current) if way == "age" else None
            numbers = derived.recompute(way, column, when, profile.known)
            if numbers is not None:
                features.extend(column_drift.of_derived(profile, numbers, chosen))
    enough = min(current.num_rows, reference.rows) >= rule.min_rows
    watched = sum(len(profile.watched) for profile in reference.columns)
    quiet = watched - sum(feature.kind in VIOLATIONS for feature in features)
    judged = family.judge(features, quiet=quiet, alpha=rule.alpha) if enough else tuple(features)
    return DriftResult(
        verdict=family.verdict(judged),
        features=judged,
        rows=RowCounts(reference.rows, current.num_rows),
        warnings=tuple(family.warn_underpowered(judged)) if enough else (),
        alpha=rule.alpha,
        quiet=quiet,
    )
