"""Check the shape of an estimator's output, and convert it to one canonical form.

Whether numbers are finite is checked elsewhere (``unanswered``).
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from mlkit.errors import InvalidInputError, MlkitError, asks_to_end, told

_SUM_TOLERANCE: Final = 1e-4  # float32 probabilities have errors of about 1e-6
_TOLERANCE: Final = 1e-6
_SHOWN: Final = 80
_FLOATS: Final = (np.dtype(np.float32), np.dtype(np.float64))  # others become float64


def ask(estimator: Any, method: str, matrix: np.ndarray) -> np.ndarray:
    """Return the output of the estimator; raises InvalidInputError if it fails."""
    try:
        found = getattr(estimator, method)(matrix)
        found = np.asarray(found.toarray() if hasattr(found, "toarray") else found)  # scipy sparse
    except (MlkitError, MemoryError):
        raise
    except BaseException as error:  # a user's own estimator may raise anything
        if asks_to_end(error):
            raise
        raise InvalidInputError(
            f"the estimator {name_of(estimator)} fails in {method}: {told(error)}"
        ) from error
    if found.dtype.kind == "c":
        raise _wrong(estimator, f"complex numbers in {method}; they must be real")
    return found


def numbers(estimator: Any, found: np.ndarray, rows: int) -> np.ndarray:
    """Return one number per row; raises InvalidInputError for any other shape."""
    flat = _one_each(estimator, found, rows)
    if flat.dtype.kind in "iu" or flat.dtype in _FLOATS:
        return flat
    try:
        return flat.astype(float)
    except (TypeError, ValueError, OverflowError) as error:
        first = str(flat[:1].tolist())[:_SHOWN]
        raise _wrong(estimator, f"{first}, which is no number") from error


def labels(estimator: Any, found: np.ndarray, rows: int, classes: int) -> np.ndarray:
    """Return a class code per row; raises InvalidInputError for anything else."""
    flat = _one_each(estimator, found, rows)
    try:
        with np.errstate(invalid="ignore"):
            codes = flat.astype(int)
    except (TypeError, ValueError, OverflowError) as error:
        raise _wrong(estimator, f"{flat[:1].tolist()}, which is no class") from error
    wrong = (codes != flat) | (codes < 0) | (codes >= classes)
    if wrong.any():
        raise _wrong(
            estimator,
            f"{flat[wrong][0]}, which is no class: it was fitted with the codes 0 to {classes - 1}",
        )
    return codes


def probabilities(estimator: Any, found: np.ndarray, rows: int, classes: int) -> np.ndarray:
    """Return the probability of each class known to the estimator, per row.

    Raises InvalidInputError for another shape, and for values that are no probabilities.
    """
    if found.shape != (rows, classes):
        raise _wrong(
            estimator,
            f"probabilities of shape {found.shape} for {rows} rows and {classes} classes; "
            f"they must have the shape {(rows, classes)}",
        )
    try:
        precision = np.finfo(found.dtype).eps if found.dtype.kind == "f" else 0.0
        found = found if found.dtype in _FLOATS else found.astype(float)
    except (TypeError, ValueError, OverflowError) as error:
        raise _wrong(estimator, "probabilities that are no numbers") from error
    low, high = (found < -_TOLERANCE).any(), (found > 1 + _TOLERANCE).any()
    if low or high:
        worst = found.min() if low else found.max()
        raise _wrong(estimator, f"a probability of {worst:.6g}; it must be within 0 and 1")
    sums = found.sum(axis=1)
    wrong = np.abs(sums - 1) > max(_SUM_TOLERANCE, classes * precision)
    if wrong.any():
        raise _wrong(
            estimator, f"probabilities that sum to {sums[wrong][0]:.6g} in a row; it must be 1"
        )
    return found


def classes_of(estimator: Any, count: int) -> list[int]:
    """Return the class codes known to the estimator, in its own order.

    Raises InvalidInputError if they are not among the ``count`` that it was fitted with.
    """
    known = getattr(estimator, "classes_", None)
    if known is None:
        return list(range(count))
    try:
        codes = [int(code) for code in known]
        sound = codes == [float(code) for code in known] and len(set(codes)) == len(codes)
    except (TypeError, ValueError):
        sound = False
    if not sound or not set(codes) <= set(range(count)):
        raise InvalidInputError(
            f"the estimator {name_of(estimator)} has the classes_ {_listed(known)}; it was fitted "
            f"with the codes 0 to {count - 1}"
        )
    return codes


def name_of(estimator: Any) -> str:
    """Return the display name of an estimator: that of the last step of a pipeline."""
    steps = getattr(estimator, "steps", None)
    return type(steps[-1][1] if steps else estimator).__name__


def _one_each(estimator: Any, found: np.ndarray, rows: int) -> np.ndarray:
    if found.shape == (rows,):
        return found
    if found.shape == (rows, 1) or (rows == 1 and found.shape == ()):
        return found.reshape(rows)
    raise _wrong(
        estimator,
        f"an array of shape {found.shape} for {rows} rows; it must be one value for each row",
    )


def _wrong(estimator: Any, text: str) -> InvalidInputError:
    return InvalidInputError(f"the estimator {name_of(estimator)} answers with {text}")


def _listed(known: Sequence[object]) -> str:
    return str(list(known)[:20])
