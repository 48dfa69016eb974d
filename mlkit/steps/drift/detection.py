"""Has a table moved away from a reference? A verdict needs size, significance and enough rows.

What holds for every column is in ``design``, the tests of one in ``column_drift``, what they say
together in ``family``.
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
    """Return the verdict on ``current``, whose columns are found by the reference's names.

    A feature has drifted if its effect reaches the threshold **and** its q value (Benjamini and
    Hochberg over the evidence on all) is at most ``alpha``. Below ``min_rows`` rows, of either,
    nothing is judged, and "no drift" is not said of a feature whose rows could not have shown any.
    ``span_s`` is the time that the current rows span; with ``times.MOMENT`` they show the age of
    their times.
    """
    features: list[FeatureDrift] = []
    chosen = design.of(reference, current, rule, span_s)
    for profile in reference.columns:
        column, way = current.column(profile.column), profile.derived
        if way is None:
            features.extend(column_drift.of_column(profile, column, chosen))
        elif way != "gap" or chosen.same_pace:
            when = times.moments(current) if way == "age" else None
            numbers = derived.again(way, column, when, profile.known)
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
        warnings=tuple(family.blind(judged)) if enough else (),
        alpha=rule.alpha,
        quiet=quiet,
    )
