"""Which rows belong together: the parts of each input in which an error can hide.

Labels, quartiles of numbers, quarters of the day, missing values; of the actual values as well.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.steps.drift import reference
from mlkit.steps.inputs import prediction_columns
from mlkit.steps.inputs.columns import InputSchema, Kind
from mlkit.steps.tables import casts, dtypes

FEWEST: Final = 20  # rows of the holdout; a smaller part is rare
_MOST_LABELS: Final = 12
_FEW: Final = 4  # distinct numbers are labels
_QUARTERS: Final = (0.0, 6.0, 12.0, 18.0)


class Cut(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Some rows: those with a label, with none of several, in a range (without its end), or a gap.

    ``column`` is an input, or ``prediction_columns.ACTUAL``.
    """

    column: str
    kind: Literal["label", "rare", "range", "hours", "missing"]
    numeric: bool = False
    labels: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None

    @property
    def name(self) -> str:
        """The part as people call it.

        >>> Cut(column="origin", kind="label", labels=("JFK",)).name
        'origin = JFK'
        >>> Cut(column="age", kind="range", low=18, high=33.5).name
        'age 18 to 33.5'
        """
        if self.kind == "label":
            return f"{self.column} = {self.labels[0]}"
        if self.kind == "rare":
            return f"{self.column} = a rare label"
        if self.kind == "missing":
            return f"{self.column} missing"
        if self.low is None or self.high is None:
            side = f"below {self.high:g}" if self.low is None else f"from {self.low:g}"
            return f"{self.column} {side}"
        unit = " h" if self.kind == "hours" else ""
        return f"{self.column} {self.low:g} to {self.high:g}{unit}"


def of_inputs(schema: InputSchema, table: pa.Table) -> tuple[Cut, ...]:
    """Return the parts of each input of ``table`` that have enough rows."""
    return tuple(
        cut
        for column in schema.columns
        for cut in _of_column(column.name, column.kind, table.column(column.name))
    )


def of_actuals(schema: InputSchema, actuals: Sequence[Any]) -> tuple[Cut, ...]:
    """Return the parts of the actual values: the classes, or quartiles."""
    table = prediction_columns.actuals(schema, actuals)
    kind: Kind = "number" if schema.task == "regression" else "category"
    return tuple(_of_column(prediction_columns.ACTUAL, kind, table.column(0)))


def places(cuts: Sequence[Cut], column: Any) -> Iterator[np.ndarray]:
    """Yield for each of ``cuts``, all of one column, which rows of ``column`` belong to it."""
    first = cuts[0]
    texts = reference.labels(column, "label", numeric=first.numeric) if _labelled(cuts) else None
    numbers = _numbers(column, cuts)
    for cut in cuts:
        if cut.kind == "missing":
            yield reference.gaps(column) == 1
        elif cut.kind in ("range", "hours"):
            above = numbers >= (-np.inf if cut.low is None else cut.low)
            yield above & (numbers < (np.inf if cut.high is None else cut.high))
        else:
            codes = reference.codes_of(texts, cut.labels)
            inside = codes < len(cut.labels)
            there = texts.is_valid().to_numpy() if texts is not None else inside
            yield inside if cut.kind == "label" else ~inside & there


def _labelled(cuts: Sequence[Cut]) -> bool:
    return any(cut.kind in ("label", "rare") for cut in cuts)


def _numbers(column: Any, cuts: Sequence[Cut]) -> np.ndarray:
    """Return the numbers or hours of a column, NaN where there is none."""
    kinds = {cut.kind for cut in cuts}
    if "hours" in kinds:
        found = pc.hour(casts.cast(column, dtypes.DATETIME).column)
    elif "range" in kinds:
        found = casts.cast(column, dtypes.NUMBER).column
    else:
        return np.zeros(0)
    numbers: np.ndarray = found.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(float)
    return numbers


def _of_column(name: str, kind: Kind, column: Any) -> Iterator[Cut]:
    if kind == "datetime":
        for low in _QUARTERS:
            yield Cut(column=name, kind="hours", low=low, high=low + 6)
    elif kind in ("number", "integer"):
        values = np.sort(reference.numbers(column))
        if 1 + np.count_nonzero(np.diff(values)) > _FEW:
            yield from _quartiles(name, values)
        else:
            yield from _labels(name, reference.labels(column, "label", numeric=True), numeric=True)
    else:
        yield from _labels(name, reference.labels(column, "label"), numeric=False)
    if int(reference.gaps(column).sum()) >= FEWEST:
        yield Cut(column=name, kind="missing", numeric=kind in ("number", "integer"))


def _quartiles(name: str, ordered: np.ndarray) -> Iterator[Cut]:
    edges = np.unique(ordered[[len(ordered) * part // 4 for part in (1, 2, 3)]]).tolist()
    for low, high in zip([None, *edges], [*edges, None], strict=True):
        yield Cut(column=name, kind="range", low=low, high=high)


def _labels(name: str, texts: Any, *, numeric: bool) -> Iterator[Cut]:
    counts = pc.value_counts(texts.drop_null())
    pairs = zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True)
    ranked = sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
    kept = tuple(label for label, count in ranked[:_MOST_LABELS] if count >= FEWEST)
    for label in kept:
        yield Cut(column=name, kind="label", numeric=numeric, labels=(label,))
    if sum(count for _, count in ranked[len(kept) :]) >= FEWEST:
        yield Cut(column=name, kind="rare", numeric=numeric, labels=kept)
