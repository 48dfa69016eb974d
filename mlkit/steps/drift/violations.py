"""Values that the reference has never seen: new labels, values out of its range, of another type.

How many there are where nothing has changed is known from the reference. No verdict here.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import special

from mlkit.steps.drift import design_effect
from mlkit.steps.drift.result import FeatureDrift, ViolationKind
from mlkit.steps.inputs.columns import ARROW_TYPES, Kind
from mlkit.steps.tables import casts, dtypes
from mlkit.steps.tables.casts import Cast

_SHOWN: Final = 3
_TAIL: Final = 2  # of the cells of ``design_effect`` at either end
_RARE: Final = 0.02  # of the rows have the labels that count as rare
_Z80: Final = float(special.ndtri(0.8))  # for a power of 80 %

_WANTED: Final = {**ARROW_TYPES, "integer": dtypes.NUMBER}  # 1.5 is drift, not another type


class Usual(NamedTuple):
    """The share of violations where nothing has changed, and how many rows come with each."""

    share: float
    burst: float = 1.0


class Found(NamedTuple):
    """How many of how many values are violations, and the most frequent of them."""

    hits: int
    of: int
    examples: dict[str, float]


class Level(NamedTuple):
    """What is asked of a test: rows of the reference, worth, smallest effect, chance of an error.

    Every ``tau`` rows count for one.
    """

    rows: int
    tau: float
    threshold: float
    alpha: float


def test(
    kind: ViolationKind, column: str, found: Found, usual: Usual, level: Level
) -> FeatureDrift:
    """Return how likely chance is to give so many violations.

    Of n independent rows in the reference and m in the window, the number of rows beyond the
    reference's smallest and largest value has a beta-binomial distribution, whatever that of the
    values is (Wilks 1942, Ann. Math. Stat. 13). Its limit for large n and m is negative binomial:
    P(k or more) = I(k, r; m / (n + m)) with the regularised incomplete beta function I and r = 2,
    for the two ends. A new label has r = 1, as if one had been seen in the reference.

    Where a share u of violations is usual, r is n u. Rows that come together count as one: of each
    ``tau`` rows (the design effect) and of each ``burst`` one is worth counting, which divides k
    and r.
    """
    clump = level.tau * usual.burst
    ends = 2.0 if kind == "range" else 1.0
    seen = max(ends, usual.share * level.rows / clump)
    odds = found.of / (level.rows + found.of)
    normal = max(usual.share, 1 / level.rows)  # that they come together makes none of them usual
    return FeatureDrift(
        name=f"{kind}({column})",
        column=column,
        kind=kind,
        test="negative_binomial",
        statistic=float(found.hits),
        p_value=float(special.betainc(found.hits / clump, seen, odds)),
        effect=max(0.0, found.hits / found.of - normal),
        threshold=level.threshold,
        visible=_minimum_detectable(found.of, seen, clump, level),
        effective_rows=found.of / level.tau,
        examples=found.examples,
    )


def _minimum_detectable(of: int, seen: float, clump: float, level: Level) -> float:
    """Return the share above the usual one that is found in four of five cases.

    The count k of the critical value solves I(k, r; m / (n + m)) = alpha; above it comes 0.84
    times the standard error of a count, whose variance is its mean (Poisson) times ``clump``.
    """
    odds = of / (level.rows + of)
    expected = min(1.0, seen * clump / level.rows)
    critical = clump * float(special.btdtria(level.alpha, seen, odds)) / of
    least = max(critical - expected, level.threshold)
    power = _Z80 * float(np.sqrt(max(0.0, least + expected) * clump / of))
    return min(1.0, least + power)


def fit(kind: Kind, column: Any) -> tuple[Any, Found | None]:
    """Return ``column`` as values of ``kind``, null where one is none, and which those are."""
    result = _as_text(column) if kind == "category" else casts.cast(column, _WANTED[kind])
    if not result.unfit_count:
        return result.column, None
    wrong = column.filter(pc.and_(pc.is_valid(column), pc.is_null(result.column)))
    present = len(column) - column.null_count
    return result.column, Found(result.unfit_count, present, _most_frequent(wrong))


def out_of_range(ordered: np.ndarray, ends: np.ndarray) -> Found | None:
    """Return the values below the first or above the second of ``ends``, if there are any."""
    low = int(np.searchsorted(ordered, ends[0], side="left"))
    high = int(np.searchsorted(ordered, ends[1], side="right"))
    count = low + len(ordered) - high
    if not count:
        return None
    beyond = np.concatenate([ordered[:low], ordered[high:][::-1]])
    values, counts = np.unique(beyond, return_counts=True)
    distance = np.where(values < ends[0], ends[0] - values, values - ends[1])
    first = np.lexsort((-distance, -counts))[:_SHOWN]
    examples = {f"{values[i]:.6g}": float(counts[i]) for i in first}
    return Found(count, len(ordered), examples)


def unseen(texts: Any, codes: np.ndarray, labels: int, known: np.ndarray) -> Found | None:
    """Return the texts that are no label of the reference, if there are any.

    ``codes`` are their places in its first ``labels`` labels, ``labels`` for any other; of those
    with very many, ``known`` are the hashes of all.
    """
    others = texts.filter(pa.array(codes == labels))
    if len(known) and len(others):
        different = pc.unique(others)
        new = ~np.isin(hashes(different.to_pylist()), known)
        others = others.filter(pc.is_in(others, different.filter(pa.array(new))))
    return Found(len(others), len(texts), _most_frequent(others)) if len(others) else None


def hashes(texts: Sequence[str]) -> np.ndarray:
    """Return 32 bits for each text: one in 43,000 is taken for one of 100,000 others."""
    found = (crc32(text.encode("utf-8", "surrogatepass")) for text in texts)
    return np.fromiter(found, dtype=np.uint32, count=len(texts))


def usual_range(values: np.ndarray, *, ordered: bool) -> Usual:
    """Return how often rows like the ``values`` of a reference fall beyond them.

    2 / (n + 1) if they are independent: each of n + 1 rows is equally likely the smallest. Those in
    time order may have a trend or excursions: then the newer half falls beyond the older one more
    often, and that share is taken.
    """
    older, newer = _halves(values)
    share = 2 / (len(values) + 1)
    if ordered and len(older):
        beyond = (newer < older.min()) | (newer > older.max())
        share = max(share, float(beyond.mean()))
    return Usual(share)


def usual_unseen(codes: np.ndarray, *, ordered: bool) -> Usual:
    """Return how often a row has a label that none of the reference's rows has.

    ``codes`` tell the labels of the reference apart. The share is that of Good and Turing (Good
    1953, Biometrika 40): labels of a single row, over n. Labels of two rows say how many rows of a
    new label come together (``burst``). In time order it is at least the share of the newer half
    whose labels the older half has not.
    """
    counts = np.bincount(codes)
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    share = (once + 1) / (len(codes) + 1)
    older, newer = _halves(codes)
    if ordered and len(older):
        known = np.bincount(older, minlength=len(counts)) > 0
        share = max(share, float((~known[newer]).mean()))
    return Usual(share, 1 + 2 * twice / max(once, 1))


def tails(cells: np.ndarray) -> np.ndarray:
    """Return 0, 1 or 2 for a value far below, in between, or far above, by its cell."""
    return (cells >= _TAIL).astype(np.int64) + (cells >= design_effect.CELLS - _TAIL)


def rarities(codes: np.ndarray) -> np.ndarray:
    """Return 1 for each row with one of the rarest labels, else 0."""
    counts = np.bincount(codes)
    order = np.argsort(counts, kind="stable")
    rare = np.zeros(len(counts), dtype=np.int64)
    rare[order[np.cumsum(counts[order]) <= _RARE * len(codes)]] = 1
    found: np.ndarray = rare[codes]
    return found


def _as_text(column: Any) -> Cast:
    """Return a column as text: whole numbers are labels, other types are none."""
    if column.type in (dtypes.TEXT, dtypes.INTEGER):
        return Cast(column.cast(dtypes.TEXT))
    nothing = pa.chunked_array([pa.nulls(len(column), dtypes.TEXT)])
    return Cast(nothing, unfit_count=len(column) - column.null_count)


def _most_frequent(values: Any) -> dict[str, float]:
    counted = pc.value_counts(values)
    counts = counted.field("counts").to_numpy(zero_copy_only=False)
    first = np.argsort(-counts, kind="stable")[:_SHOWN]
    shown = counted.field("values").take(pa.array(first)).to_pylist()
    return {_short(value): float(counts[i]) for value, i in zip(shown, first, strict=True)}


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _halves(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return values[: len(values) // 2], values[len(values) // 2 :]
