"""What a table looked like, in little space: all that a later drift check needs of it.

Sorted values of a numeric column, counts of any other, missing values of both, and how windows of
it vary. No rule lives here.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.steps.drift import derived, design_effect, moments, texts, times, violations
from mlkit.steps.drift.block_variance import Statistic
from mlkit.steps.drift.reference_columns import (
    FEW,
    MAX_KNOWN,
    MAX_LABELS,
    MAX_VALUES,
    NO_ENDS,
    NO_HASHES,
    Measure,
    Profile,
    Reference,
    Role,
)
from mlkit.steps.drift.reference_file import deviation, dump, load
from mlkit.steps.inputs.columns import KINDS, InputSchema, Kind
from mlkit.steps.tables import casts, dtypes

__all__ = (
    "MAX_LABELS", "MAX_VALUES", "Measure", "Profile", "Reference", "build", "codes_of", "dump",
    "gaps", "kinds_of", "labels", "load", "numbers", "summarize",
)  # fmt: skip


def build(
    schema: InputSchema,
    table: pa.Table,
    further: Mapping[Role, pa.Table],
    *,
    ordered: bool,
    span_s: float | None = None,
) -> bytes:
    """Return the reference of the input columns of ``table``, as a file without any pickle.

    ``further`` are a model's answers, and the target as it really was, for rows that the model has
    not learned from. Of ``span_s`` see ``Reference``.
    """
    kinds = {column.name: column.kind for column in schema.columns}
    made = summarize(table, kinds, further=further, ordered=ordered)
    return dump(msgspec.structs.replace(made, span_s=span_s))


def summarize(
    table: pa.Table,
    kinds: Mapping[str, Kind] | None = None,
    *,
    further: Mapping[Role, pa.Table] = MappingProxyType({}),
    ordered: bool = False,
) -> Reference:
    """Return the reference of the columns named in ``kinds``; by default of all of them.

    ``further`` are columns of other rows. ``ordered`` says that all rows are in time order, so
    that their windows mean something. A table with ``times.MOMENT`` shows the age of its times.
    """
    sizes = design_effect.sizes(table.num_rows) if ordered else ()
    wanted = kinds if kinds is not None else kinds_of(table)
    profiles = []
    for name, kind in wanted.items():
        made = _profile(name, kind, table.column(name), sizes)
        profiles += [made, *_derived(made, table, sizes, ordered=ordered)]
    for role, part in further.items():
        for name, kind in kinds_of(part).items():
            made = _profile(name, kind, part.column(name), sizes)
            profiles.append(msgspec.structs.replace(made, role=role))
    return Reference(rows=table.num_rows, columns=tuple(profiles), sizes=sizes)


def kinds_of(table: pa.Table) -> dict[str, Kind]:
    """Return the kind of each column by its type, one of the five of ``dtypes``."""
    types = zip(table.column_names, table.schema.types, strict=True)
    return {name: KINDS[kind] for name, kind in types if name != times.MOMENT}


def numbers(column: Any) -> np.ndarray:
    """Return the values of a numeric column that are there, in row order, not to be written to."""
    values: np.ndarray = casts.cast(column, dtypes.NUMBER).column.drop_null().to_numpy()
    if len(values) and np.isnan(values.min()):
        values = values[~np.isnan(values)]
    return values


def gaps(column: Any) -> np.ndarray:
    """Return 1 for each row without a value, else 0."""
    missing: np.ndarray = pc.is_null(column, nan_is_null=True).to_numpy()
    return missing.astype(np.int64)


def codes_of(texts: Any, known: Sequence[str]) -> np.ndarray:
    """Return the place of each text in ``known``, ``len(known)`` for any other."""
    places = pc.index_in(texts, pa.array(known, pa.string()))
    found: np.ndarray = pc.fill_null(places, len(known)).to_numpy().astype(np.int64)
    return found


def labels(column: Any, measure: Measure, *, numeric: bool = False) -> Any:
    """Return the values of a column as text to be counted, null where there is none.

    ``numeric`` columns are compared as numbers: 1, 1.0 and "1" are one label.
    """
    if measure == "hour":
        hours = pc.hour(casts.cast(column, dtypes.DATETIME).column)
        return hours.cast(dtypes.TEXT)
    if numeric:
        positive = pc.add(casts.cast(column, dtypes.NUMBER).column, 0.0)  # -0.0 is 0.0
        return positive.cast(dtypes.TEXT)
    return column if column.type == dtypes.TEXT else column.cast(dtypes.TEXT)


def _profile(name: str, kind: Kind, column: Any, sizes: tuple[int, ...]) -> Profile:
    numeric = kind in ("number", "integer")
    if numeric:
        values = numbers(column)
        ordered = np.sort(values)
        if len(values) and _distinct(ordered) > FEW:
            kept = _thin(ordered)
            return Profile(
                name=name,
                column=name,
                measure="number",
                numeric=True,
                rows=len(column),
                present=len(values),
                counts=np.zeros(0, dtype=np.int64),
                values=kept,
                deviation=deviation(kept),
                taus=_taus_of_numbers(values, ordered, gaps(column), sizes),
                kind=kind,
                ends=ordered[[0, -1]],
                usual=violations.usual_range(values, ordered=bool(sizes)),
            )
    measure: Measure = "hour" if kind == "datetime" else "label"
    counted = labels(column, measure, numeric=numeric)
    return _counted(name, counted, kind, sizes, numeric=numeric)


def _taus_of_numbers(
    values: np.ndarray, ordered: np.ndarray, missing: np.ndarray, sizes: tuple[int, ...]
) -> np.ndarray:
    """Return the taus as ``_taus`` does, and those of the moments of the values."""
    if not sizes:
        return np.zeros((3, 0))
    scores = moments.series(values, moments.scale(_thin(ordered)))
    codes = design_effect.cells(values, ordered)
    usual = _taus(codes, "ks", missing, sizes, violations.tails(codes))
    return np.vstack([usual, design_effect.mean_taus(scores, sizes)])


def _taus(
    codes: np.ndarray,
    statistic: Statistic,
    missing: np.ndarray,
    sizes: tuple[int, ...],
    extreme: np.ndarray,
) -> np.ndarray:
    """Return the taus of the values that are there, of which rows have none, and of violations.

    Those of the ``extreme`` values, which may cluster though the others do not, or of all.
    """
    usual = design_effect.taus(codes, statistic, sizes)
    extremes = np.maximum(usual, design_effect.taus(extreme, "chi2", sizes))
    return np.array([usual, design_effect.taus(missing, "chi2", sizes), extremes])


def _counted(
    name: str, column: Any, kind: Kind, sizes: tuple[int, ...], *, numeric: bool
) -> Profile:
    present = column.drop_null()
    all_codes, ranked = _ranked(present)
    free = kind == "category" and texts.is_free(len(present), len(ranked), MAX_LABELS)
    too_many = len(ranked) > MAX_LABELS
    kept, codes, counts = _few(present) if too_many else (ranked, all_codes, None)
    known = NO_HASHES
    if too_many and len(ranked) <= MAX_KNOWN:
        known = np.unique(violations.hashes(ranked))
    tells = not free and kind != "datetime" and len(ranked) <= MAX_KNOWN
    taus = _taus(codes, "chi2", gaps(column), sizes, violations.rarities(all_codes))
    return Profile(
        name=name,
        column=name,
        measure="text" if free else "hour" if kind == "datetime" else "label",
        numeric=numeric,
        rows=len(column),
        present=len(present),
        labels=() if free else tuple(kept),
        counts=np.bincount(codes, minlength=len(kept) + 1) if counts is None else counts,
        values=np.zeros(0),
        taus=taus,
        kind=kind,
        known=known if tells else NO_HASHES,
        usual=violations.usual_unseen(all_codes, ordered=bool(sizes)) if tells else None,
    )


def _ranked(present: Any) -> tuple[np.ndarray, list[str]]:
    """Return the place of each label among them all, and all, the most frequent first."""
    found = pc.value_counts(present)
    pairs = zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True)
    ranked = [label for label, _ in sorted(pairs, key=lambda pair: (-pair[1], pair[0]))]
    return codes_of(present, ranked), ranked


def _few(present: Any) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the labels that are frequent in every other row, their codes, and counts of the rest.

    Those that are frequent where they are chosen are there by chance as well.
    """
    _, chosen = _ranked(present.take(np.arange(0, len(present), 2)))
    kept = chosen[:MAX_LABELS]
    codes = codes_of(present, kept)
    return kept, codes, np.bincount(codes[1::2], minlength=len(kept) + 1)


def _derived(
    profile: Profile, table: pa.Table, sizes: tuple[int, ...], *, ordered: bool
) -> Iterator[Profile]:
    """Yield the profiles of what can drift of a time or a free text."""
    column = table.column(profile.name)
    if profile.kind in ("datetime", "category"):  # rows of the log may be of a wider type
        column, _ = violations.fit(profile.kind, column)
    if profile.kind == "datetime":
        found = derived.of_times(column, times.moments(table), ordered=ordered)
    elif profile.measure == "text":
        found = derived.of_texts(column)
    else:
        return
    for way, numbers_of_rows, known in found:
        made = _profile(f"{way}({profile.name})", "number", numbers_of_rows, sizes)
        if made.present:
            yield msgspec.structs.replace(
                made, column=profile.name, derived=way, known=known, usual=None, ends=NO_ENDS
            )


def _distinct(values: np.ndarray) -> int:
    return 1 + int(np.count_nonzero(values[1:] != values[:-1]))  # infinities have no difference


def _thin(values: np.ndarray) -> np.ndarray:
    if len(values) <= MAX_VALUES:
        return values
    places = (np.arange(MAX_VALUES) + 0.5) * len(values) / MAX_VALUES
    return values[places.astype(np.int64)]
