"""Rows that a model has no answer for: no finite number, a label that is none, or an exception.

Such a row is refused by name where somebody waits for it, and judged as a loss where nobody does.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import numpy as np

from mlkit.errors import InvalidInputError, MlkitError, ModelFailsError, told
from mlkit.steps.inputs import bounds, encode
from mlkit.steps.inputs.answers import Label, Predictions
from mlkit.steps.inputs.columns import Column, InputSchema

NO_LABEL: Final = float("nan")
_SAID_CHARS: Final = 1000
_MOST: Final = 100  # rows that are looked for after a failure: each takes some questions

Ask = Callable[[np.ndarray], Predictions]


def labels(classes: Sequence[Label], codes: np.ndarray) -> list[Label]:
    """Return the class behind each code, ``NO_LABEL`` for -1.

    >>> labels(("no", "yes"), np.array([1, 0, -1]))
    ['yes', 'no', nan]
    """
    named = (*classes, NO_LABEL)
    return [named[code] for code in codes.tolist()]


def most_probable(probabilities: np.ndarray) -> np.ndarray:
    """Return the place of the largest probability of each row, -1 if they are no numbers.

    >>> most_probable(np.array([[0.2, 0.8], [0.5, float("nan")]]))
    array([ 1, -1])
    """
    codes: np.ndarray = probabilities.argmax(axis=1)
    return _without_gaps(codes, probabilities)


def decided(
    codes: np.ndarray, classes: Sequence[Label], probabilities: np.ndarray | None
) -> np.ndarray:
    """Return the codes that an estimator chose by itself, -1 where they are the place of no class.

    >>> decided(np.array([1.0, -1.0, 2.0, 0.5, float("nan")]), ("no", "yes"), None)
    array([ 1, -1, -1, -1, -1])
    """
    found = np.asarray(codes, dtype=float)
    places = (found >= 0) & (found < len(classes)) & (found == np.floor(found))
    whole = np.where(places, found, -1).astype(int)
    return whole if probabilities is None else _without_gaps(whole, probabilities)


def _without_gaps(codes: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    if math.isfinite(np.vdot(probabilities, probabilities)):  # half the time of their sum
        return codes
    return np.where(np.isfinite(probabilities).all(axis=1), codes, -1)


def places(answers: Predictions) -> list[int]:
    """Return the rows without an answer, counted from 0.

    >>> places(Predictions([1.5, float("inf"), 1e200], None))
    [1, 2]
    """
    values = answers.values
    if _are_usable(values):
        return []
    return [row for row, value in enumerate(values) if not _is_usable(value)]


def _are_usable(values: Sequence[Any]) -> bool:
    """Tell quickly that all values are usable; False if that takes a closer look."""
    if not values or not isinstance(values[0], float):
        return NO_LABEL not in values and None not in values
    try:
        total = sum(values)
    except TypeError:  # not all are numbers
        return False
    if math.isnan(total):  # of which neither the least nor the largest is known
        return False
    least, largest = float(min(values)), float(max(values))
    return least >= -bounds.TARGET and largest <= bounds.TARGET


def _is_usable(value: object) -> bool:
    if value is None:  # what an estimator of its own may put among its objects
        return False
    return not isinstance(value, float) or -bounds.TARGET <= value <= bounds.TARGET


def ask(model: Ask, schema: InputSchema, matrix: np.ndarray, *, first_row: int = 0) -> Predictions:
    """Return the answers of ``model``; raises InvalidInputError that names every row without one.

    Inputs beyond their bound are refused before the model sees them. A model that raises is at
    fault if it does so for ordinary rows as well: ModelFailsError; else the rows are.
    """
    if _may_be_large(matrix):
        refuse_large(schema, matrix, first_row=first_row)
    try:
        answers = model(matrix)
    except Exception as error:  # an estimator may raise anything
        if _fails_always(model, schema):
            raise ModelFailsError(_said(error)) from error
        rows = list(islice(_unanswerable(model, matrix), _MOST))
        encode.refuse(_problems(schema, matrix, rows, first_row, "the model fails"))
        raise
    rows = places(answers)
    if rows:
        encode.refuse(_problems(schema, matrix, rows, first_row, "the model has no finite answer"))
    return answers


def is_silent(model: Ask, schema: InputSchema) -> bool:
    """Tell whether the model has no finite answer to ordinary rows either."""
    return all(_is_gap(model, row[None, :]) for row in _ordinary(schema))


def with_gaps(model: Ask, schema: InputSchema, matrix: np.ndarray) -> Predictions:
    """Return the answers of ``model``, ``NO_LABEL`` to each row that it fails for.

    Raises InvalidInputError if it fails for an ordinary row as well.
    """
    try:
        return model(matrix)
    except Exception as error:  # an estimator may raise anything
        if _fails_always(model, schema):
            raise InvalidInputError(f"it fails: {error!r}"[:300]) from error
    if len(matrix) == 1:
        return Predictions([NO_LABEL], None)
    half = len(matrix) // 2
    return _joined([with_gaps(model, schema, part) for part in (matrix[:half], matrix[half:])])


def _joined(parts: Sequence[Predictions]) -> Predictions:
    """Return all answers; rows without any have probabilities that are none, if others have some.

    >>> _joined([Predictions([1.0], None), Predictions([NO_LABEL], None)])
    Predictions(values=[1.0, nan], probabilities=None)
    """
    values = [value for part in parts for value in part.values]
    widths = [part.probabilities.shape[1] for part in parts if part.probabilities is not None]
    if not widths:
        return Predictions(values, None)
    told = [
        np.full((len(part.values), widths[0]), np.nan)
        if part.probabilities is None
        else part.probabilities
        for part in parts
    ]
    return Predictions(values, np.vstack(told))


def _may_be_large(matrix: np.ndarray) -> bool:
    """Tell whether a value may be beyond its bound; one call does for rows without gaps."""
    if np.vdot(matrix, matrix) <= bounds.INPUT**2:
        return False
    return not np.fmax.reduce(np.abs(matrix), axis=None, initial=0.0) <= bounds.INPUT


def refuse_large(schema: InputSchema, matrix: np.ndarray, *, first_row: int = 0) -> None:
    """Raise InvalidInputError that names every value beyond what models can take."""
    names = encode.names(schema)
    with np.errstate(invalid="ignore"):
        large = np.argwhere(np.abs(matrix) > bounds.INPUT)[: encode.MAX_PROBLEMS]
    encode.refuse(
        [
            {
                "row": first_row + int(row),
                "column": names[place],
                "problem": f"{matrix[row, place]:.6g} is beyond {bounds.INPUT:.3g}, "
                "which no model takes",
            }
            for row, place in large
        ]
    )


def _unanswerable(model: Ask, matrix: np.ndarray, first: int = 0) -> Iterator[int]:
    """Yield the rows that the model fails for, found by halves: ``matrix`` is known to fail."""
    if len(matrix) == 1:
        yield first
        return
    half = len(matrix) // 2
    for part, start in ((matrix[:half], first), (matrix[half:], first + half)):
        if _fails(model, part):
            yield from _unanswerable(model, part, start)


def _fails_always(model: Ask, schema: InputSchema) -> bool:
    """Tell whether the model fails for ordinary rows: of least values, and of middling ones."""
    return all(_fails(model, row[None, :]) for row in _ordinary(schema))


def _ordinary(schema: InputSchema) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of values as they were seen in training: as near to 0 as these were, and midway.

    Two, because a model may well have no answer at a border.
    """
    known = {column.name: column for column in schema.columns}
    spans = [_span(known.get(name)) or (0.0, 0.0) for name in encode.names(schema)]
    near = np.array([min(max(0.0, low), high) for low, high in spans])
    return near, np.array([low / 2 + high / 2 for low, high in spans])


def _said(error: Exception) -> str:
    return str(error)[:_SAID_CHARS] if isinstance(error, MlkitError) else told(error)


def _span(column: Column | None) -> tuple[float, float] | None:
    """Return the least and largest value seen in training, None where there is none."""
    if column is None or column.minimum is None or column.maximum is None:
        return None
    return column.minimum, column.maximum


def _fails(model: Ask, row: np.ndarray) -> bool:
    try:
        model(row.copy())
    except Exception:  # noqa: BLE001  # that it raises is the answer
        return True
    return False


def _is_gap(model: Ask, row: np.ndarray) -> bool:
    try:
        return bool(places(model(row.copy())))
    except Exception:  # noqa: BLE001  # no answer at all
        return True


def _problems(
    schema: InputSchema, matrix: np.ndarray, rows: Iterable[int], first_row: int, why: str
) -> list[dict[str, object]]:
    names = encode.names(schema)
    found: list[dict[str, object]] = []
    for row in list(rows)[: encode.MAX_PROBLEMS]:
        place = _oddest(schema, matrix[row])
        problem = f"{why[:200]} (the oddest value is {matrix[row, place]:.6g})"
        found.append({"row": first_row + row, "column": names[place], "problem": problem})
    return found


def _oddest(schema: InputSchema, row: np.ndarray) -> int:
    """Return the place of the value that lies farthest outside of what was seen in training."""
    known = {column.name: column for column in schema.columns}
    odds = []
    for name, value in zip(encode.names(schema), row.tolist(), strict=True):
        low, high = _span(known.get(name)) or (value, value)
        beyond = max(low - value, value - high, 0.0)
        odds.append(0.0 if math.isnan(beyond) else beyond / ((high - low) or 1.0))
    return int(np.argmax(odds)) if odds else 0
