"""Numbers derived from times and free texts, which can drift where these themselves cannot."""

from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from mlkit.steps.drift import texts, times, violations

Way = Literal["age", "gap", "length", "words"]

_NOTHING: Final = np.zeros(0, dtype=np.uint32)


class Derived(NamedTuple):
    """One derived column of a reference; ``known`` is the vocabulary of ``words``."""

    way: Way
    column: Any
    known: np.ndarray = _NOTHING


def of_times(column: Any, moments: Any | None, *, ordered: bool) -> Iterator[Derived]:
    """Yield the age of each time, if the rows have one, and the gaps between consecutive events."""
    if moments is not None:
        yield Derived("age", times.ages(column, moments))
    if ordered and times.grows(column):
        yield Derived("gap", times.gaps(column))


def of_texts(column: Any) -> Iterator[Derived]:
    """Yield the length of each text and the share of its words that the vocabulary has."""
    yield Derived("length", texts.lengths(column))
    known = texts.vocabulary(column)
    yield Derived("words", texts.known_share(column, known, own=True), known)


def recompute(way: Way, column: Any, moments: Any | None, known: np.ndarray) -> Any | None:
    """Return the same numbers of other rows, None if they have no time of their own."""
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
