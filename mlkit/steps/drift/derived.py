"""What of a time or a free text can drift, as further columns of numbers."""

from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from mlkit.steps.drift import texts, times, violations

Way = Literal["age", "gap", "length", "words"]

_NOTHING: Final = np.zeros(0, dtype=np.uint32)


class Derived(NamedTuple):
    """Numbers of the rows of a reference; ``known`` is the vocabulary that ``words`` needs."""

    way: Way
    column: Any
    known: np.ndarray = _NOTHING


def of_times(column: Any, moments: Any | None, *, ordered: bool) -> Iterator[Derived]:
    """Yield the age of each time, where that is known, and of events in order their gaps."""
    if moments is not None:
        yield Derived("age", times.ages(column, moments))
    if ordered and times.grows(column):
        yield Derived("gap", times.gaps(column))


def of_texts(column: Any) -> Iterator[Derived]:
    """Yield the length of each text and the share of its words that other texts have as well."""
    yield Derived("length", texts.lengths(column))
    known = texts.vocabulary(column)
    yield Derived("words", texts.known_share(column, known, own=True), known)


def again(way: Way, column: Any, moments: Any | None, known: np.ndarray) -> Any | None:
    """Return the numbers of other rows, None if they cannot be known."""
    source, _ = violations.fit("datetime" if way in ("age", "gap") else "category", column)
    match way:
        case "age":
            return None if moments is None else times.ages(source, moments)
        case "gap":
            return times.gaps(source)
        case "length":
            return texts.lengths(source)
        case "words":
            return texts.known_share(source, known)
