"""The target: its task, the rows that have it, and its encoding."""

from typing import Final, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.errors import InvalidInputError
from mlkit.steps.inputs import bounds
from mlkit.steps.inputs.columns import Task

MIN_CLASS_ROWS: Final = 5
MAX_CLASSES: Final = 100
MAX_LABEL_CHARS: Final = 1000
_MAX_INTEGER_CLASSES: Final = 10


Wish = Literal["auto", "classification", "regression"]


class Labelled(NamedTuple):
    """The rows with a target, and warnings."""

    table: pa.Table
    warnings: list[str]


def keep_labelled(table: pa.Table, target: str) -> Labelled:
    """Leave out the rows without a target; raises InvalidInputError if that leaves none."""
    if target not in table.column_names:
        raise InvalidInputError(
            f"the target '{target}' is not a column; columns: {', '.join(table.column_names[:20])}"
        )
    values = table.column(target)
    known = pc.is_valid(values)
    if pa.types.is_floating(values.type):
        known = pc.and_(known, pc.fill_null(pc.is_finite(values), False))
    kept = table.filter(known)
    lost = len(table) - len(kept)
    if not len(kept):
        raise InvalidInputError(f"no row has a value of the target '{target}'")
    text = f"missing_target: {lost} rows have no '{target}' and are left out"
    return Labelled(kept, [text] if lost else [])


def infer_task(values: pa.ChunkedArray, wish: Wish) -> Task:
    """Return ``wish``, or what the target looks like.

    Text and booleans are classes, and so are whole numbers with at most ten distinct values, even
    as 0.0 and 1.0, which they become if a value is missing. Other numbers are a regression. Raises
    InvalidInputError if the wish cannot be fulfilled.
    """
    found = values.type
    numeric = pa.types.is_integer(found) or pa.types.is_floating(found)
    if wish == "regression" and not numeric:
        raise InvalidInputError(f"a regression needs a number as target, and this one is {found}")
    if pa.types.is_timestamp(found):
        raise InvalidInputError("the target is a time; predict a number or a class instead")
    if wish != "auto":
        return wish
    return "regression" if numeric and not _are_codes(values) else "classification"


def _are_codes(values: pa.ChunkedArray) -> bool:
    distinct = pc.unique(values)
    whole = pa.types.is_integer(values.type) or pc.all(pc.equal(distinct, pc.floor(distinct)))
    return len(distinct) <= _MAX_INTEGER_CLASSES and bool(whole)


def encode(values: pa.ChunkedArray, task: Task, classes: tuple[object, ...]) -> np.ndarray:
    """Return the target as numbers: the value itself, or its index in ``classes``."""
    if task == "regression":
        return np.asarray(values.cast(pa.float64()).to_numpy(), dtype=float)
    place = {value: code for code, value in enumerate(classes)}
    return np.array([place[value] for value in values.to_pylist()], dtype=np.int64)


def check(values: pa.ChunkedArray, task: Task, target: str) -> None:
    """Raise InvalidInputError if nothing can be learned: one value, too many or rare classes."""
    counts = pc.value_counts(values)
    distinct = len(counts)
    if distinct < 2:
        value = counts.field("values")[0].as_py()
        raise InvalidInputError(
            f"the target '{target}' has one value ({value!r}) in every row: nothing to learn"
        )
    if task == "regression":
        found = bounds.find(values, bounds.TARGET)
        if found is not None:
            raise InvalidInputError(
                f"the target '{target}' has values beyond {bounds.TARGET:g}, the first is "
                f"{found.value:.6g}; mend or scale them first"
            )
        return
    if distinct > MAX_CLASSES:
        raise InvalidInputError(
            f"the target '{target}' has {distinct} classes, at most {MAX_CLASSES} can be learned; "
            "is it an identifier, or a number for --task regression"
        )
    longest = max((len(str(label)) for label in counts.field("values").to_pylist()), default=0)
    if longest > MAX_LABEL_CHARS:
        raise InvalidInputError(
            f"the target '{target}' has a class whose name has {longest:,} characters, of which "
            f"{MAX_LABEL_CHARS:,} can be answered: shorten it, or leave its rows out"
        )
    pairs = zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True)
    rare = [f"{value!r} ({count})" for value, count in pairs if count < MIN_CLASS_ROWS]
    if rare:
        raise InvalidInputError(
            f"too few rows of a class of '{target}': {', '.join(rare[:5])}; each needs "
            f"{MIN_CLASS_ROWS}: add rows, or merge or remove the class"
        )
