"""Rows without a valid prediction: no finite number, an invalid label, or an exception.

In serving such a row is refused with its position; in evaluation it counts as a loss.
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
_MOST: Final = 100  # failing rows to locate: each takes several predictions

Ask = Callable[[np.ndarray], Predictions]


def labels(classes: Sequence[Label], codes: np.ndarray) -> list[Label]:
    """Return the class of each code, ``NO_LABEL`` for -1.

    >>> labels(("no", "yes"), np.array([1, 0, -1]))
    ['yes', 'no', nan]
    """
    named = (*classes, NO_LABEL)
    return [named[code] for code in codes.tolist()]


def most_probable(probabilities: np.ndarray) -> np.ndarray:
    """Return the index of the largest probability of each row, -1 if they are NaN.

    >>> most_probable(np.array([[0.2, 0.8], [0.5, float("nan")]]))
    array([ 1, -1])
    """
    codes: np.ndarray = probabilities.argmax(axis=1)
    return _without_gaps(codes, probabilities)


def decided(
    codes: np.ndarray, classes: Sequence[Label], probabilities: np.ndarray | None
) -> np.ndarray:
    """Return the codes chosen by the estimator itself, -1 for a code of no class.

    >>> decided(np.array([1.0, -1.0, 2.0, 0.5, float("nan")]), ("no", "yes"), None)
    array([ 1, -1, -1, -1, -1])
    """
    found = np.asarray(codes, dtype=float)
    places = (found >= 0) & (found < len(classes)) & (found == np.floor(found))
    whole = np.where(places, found, -1).astype(int)
    return whole if probabilities is None else _without_gaps(whole, probabilities)


def _without_gaps(codes: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    if math.isfinite(np.vdot(probabilities, probabilities)):  # takes half the time of the sum
        return codes
    return np.where(np.isfinite(probabilities).all(axis=1), codes, -1)


def places(answers: Predictions) -> list[int]:
    """Return the rows without a valid prediction, counted from 0.

    >>> places(Predictions([1.5, float("inf"), 1e200], None))
    [1, 2]
    """
    values = answers.values
    if _are_usable(values):
        return []
    return [row for row, value in enumerate(values) if not _is_usable(value)]


def _are_usable(values: Sequence[Any]) -> bool:
    """Check fast whether all values are usable; False if they must be checked one by one."""
    if not values or not isinstance(values[0], float):
        return NO_LABEL not in values and None not in values
    try:
        total = sum(values)
    except TypeError:  # mixed types
        return False
    if math.isnan(total):  # without a defined minimum and maximum
        return False
    least, largest = float(min(values)), float(max(values))
    return least >= -bounds.TARGET and largest <= bounds.TARGET


def _is_usable(value: object) -> bool:
    if value is None:  # a custom estimator may return any objects
        return False
    return not isinstance(value, float) or -bounds.TARGET <= value <= bounds.TARGET


def ask(model: Ask, schema: InputSchema, matrix: np.ndarray, *, first_row: int = 0) -> Predictions:
    """Return the predictions of ``model``; raises InvalidInputError with all rows without one.

    Inputs beyond their bound are refused before the call. If the model raises for ordinary rows as
    well, the model is at fault: ModelFailsError; else the rows are.
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
    """Tell whether the model has no finite prediction for ordinary rows either."""
    return all(_is_gap(model, row[None, :]) for row in _ordinary(schema))


def with_gaps(model: Ask, schema: InputSchema, matrix: np.ndarray) -> Predictions:
    """Return the predictions of ``model``, ``NO_LABEL`` for each row that it fails for.

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
    """Concatenate predictions; rows without one get NaN probabilities if others have some.

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
    """Tell whether a value may be beyond its bound; one call suffices for rows without NaN."""
    if np.vdot(matrix, matrix) <= bounds.INPUT**2:
        return False
    return not np.fmax.reduce(np.abs(matrix), axis=None, initial=0.0) <= bounds.INPUT


def refuse_large(schema: InputSchema, matrix: np.ndarray, *, first_row: int = 0) -> None:
    """Raise InvalidInputError with every value beyond the bound of model inputs."""
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
    """Yield the rows that the model fails for, by bisection; ``matrix`` is known to fail."""
    if len(matrix) == 1:
        yield first
        return
    half = len(matrix) // 2
    for part, start in ((matrix[:half], first), (matrix[half:], first + half)):
        if _fails(model, part):
            yield from _unanswerable(model, part, start)


def _fails_always(model: Ask, schema: InputSchema) -> bool:
    """Tell whether the model fails for ordinary rows: smallest values, and middle values."""
    return all(_fails(model, row[None, :]) for row in _ordinary(schema))


def _ordinary(schema: InputSchema) -> tuple[np.ndarray, np.ndarray]:
    """Return two rows within the training ranges: the values nearest to 0, and the midpoints.

    Two, because a model may legitimately fail at a boundary.
    """
    known = {column.name: column for column in schema.columns}
    spans = [_span(known.get(name)) or (0.0, 0.0) for name in encode.names(schema)]
    near = np.array([min(max(0.0, low), high) for low, high in spans])
    return near, np.array([low / 2 + high / 2 for low, high in spans])


def _said(error: Exception) -> str:
    return str(error)[:_SAID_CHARS] if isinstance(error, MlkitError) else told(error)


def _span(column: Column | None) -> tuple[float, float] | None:
    """Return the smallest and largest value seen in training, None if there was none."""
    if column is None or column.minimum is None or column.maximum is None:
        return None
    return column.minimum, column.maximum


def _fails(model: Ask, row: np.ndarray) -> bool:
    try:
        model(row.copy())
    except Exception:  # noqa: BLE001  # any exception means that it fails
        return True
    return False


def _is_gap(model: Ask, row: np.ndarray) -> bool:
    try:
        return bool(places(model(row.copy())))
    except Exception:  # noqa: BLE001  # any exception is a gap
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
    """Return the index of the value that is farthest outside of its training range."""
    known = {column.name: column for column in schema.columns}
    odds = []
    for name, value in zip(encode.names(schema), row.tolist(), strict=True):
        low, high = _span(known.get(name)) or (value, value)
        beyond = max(low - value, value - high, 0.0)
        odds.append(0.0 if math.isnan(beyond) else beyond / ((high - low) or 1.0))
    return int(np.argmax(odds)) if odds else 0
