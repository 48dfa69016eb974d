"""Remove erased values from data derived from rows: rules, schemas, profiles, texts.

A label in a list with fixed positions is replaced by a placeholder, so that codes stay valid.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np

from mlkit.steps.drift import violations
from mlkit.steps.drift.reference_columns import Profile, Reference
from mlkit.steps.inputs.columns import InputSchema

ERASED: Final = "(erased)"
_SHORT: Final = 4  # characters: a shorter value is matched only in quotes
_SHOWN: Final = 37  # characters: messages truncate no text to fewer

# these hold words of the program, not column values
_OWN = frozenset(
    ("action", "backend", "column", "estimator", "key", "kind", "metric", "model", "name", "role",
     "severity", "status", "task", "test", "type", "verdict", "way")
)  # fmt: skip

Lost = Mapping[str, frozenset[str]]
"""The texts of each column that no row has any more."""


def words(lost: Lost) -> frozenset[str]:
    """Return the lost texts of all columns."""
    return frozenset().union(*lost.values())


def pattern(texts: frozenset[str]) -> re.Pattern[str] | None:
    """Return a pattern that matches ``texts`` within others, None without texts.

    It also matches escaped forms, and prefixes of long ones, which messages truncate.

    >>> pattern(frozenset({"gold"})).sub(ERASED, "unseen: 'gold' 3, golden 1")
    "unseen: '(erased)' 3, golden 1"
    """
    shown = {form for text in texts for form in _forms(text)}
    longest_first = sorted(filter(None, shown), key=lambda text: (-len(text), text))
    long = [re.escape(text) for text in longest_first if len(text) >= _SHORT]
    short = [re.escape(text) for text in longest_first if len(text) < _SHORT]
    cut = [re.escape(text[:_SHOWN]) for text in longest_first if len(text) > _SHOWN]
    parts = [rf"(?<!\w)(?:{'|'.join(long)})(?!\w)"] if long else []
    parts += [rf"(?<=')(?:{'|'.join(short)})(?=')"] if short else []
    parts += [rf"(?<!\w)(?:{'|'.join(cut)})[^'\"\n]*?(?=…|\.\.\.|['\"\n]|\Z)"] if cut else []
    return re.compile("|".join(parts)) if parts else None


def _forms(text: str) -> tuple[str, str, str]:
    """Return the forms of a text: as it is, quoted in messages, escaped in terminals and logs."""
    seen = "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
    return text, repr(text)[1:-1], seen


def from_tree(value: Any, found: re.Pattern[str]) -> Any:
    """Return a JSON value without the texts, as keys, as values and within sentences.

    >>> from_tree({"kind": "gold", "examples": {"gold": 3}}, pattern(frozenset({"gold"})))
    {'kind': 'gold', 'examples': {'(erased)': 3}}
    """
    if isinstance(value, str):
        return found.sub(ERASED, value)
    if isinstance(value, list):
        return [from_tree(each, found) for each in value]
    if isinstance(value, dict):
        return {
            found.sub(ERASED, key): each if key in _OWN else from_tree(each, found)
            for key, each in value.items()
        }
    return value


def from_schema(schema: InputSchema, lost: Lost) -> InputSchema:
    """Return an input schema with placeholders for the lost categories."""
    columns = tuple(
        msgspec.structs.replace(each, categories=_renamed(each.categories, lost[each.name]))
        if each.name in lost
        else each
        for each in schema.columns
    )
    return msgspec.structs.replace(schema, columns=columns)


def compared(schema: InputSchema) -> list[str]:
    """Return the columns that identify a golden row; not times, which JSON writes differently."""
    return [column.name for column in schema.columns if column.kind != "datetime"]


def from_golden(
    golden: Mapping[str, Any], schema: InputSchema, lost: Lost, rows: frozenset[tuple[Any, ...]]
) -> dict[str, Any]:
    """Return the golden rows without those that have a lost text, or that are one of ``rows``.

    ``rows`` are values of the ``compared`` columns.
    """
    columns = golden["columns"]
    names = set(compared(schema))
    places = [place for place, column in enumerate(schema.columns) if column.name in names]
    kept = [
        place
        for place, row in enumerate(zip(*columns, strict=True))
        if tuple(row[each] for each in places) not in rows
        and not any(
            value in lost.get(column.name, ())
            for column, value in zip(schema.columns, row, strict=True)
        )
    ]
    probabilities = golden["probabilities"]
    return {
        "columns": [[values[place] for place in kept] for values in columns],
        "values": [golden["values"][place] for place in kept],
        "probabilities": None if probabilities is None else [probabilities[p] for p in kept],
    }


def from_reference(reference: Reference, lost: Lost) -> Reference:
    """Return a drift reference with placeholders for the lost labels."""
    columns = tuple(
        _without(profile, lost[profile.column]) if profile.column in lost else profile
        for profile in reference.columns
    )
    return msgspec.structs.replace(reference, columns=columns)


def _without(profile: Profile, texts: frozenset[str]) -> Profile:
    gone = violations.hashes(sorted(texts))
    return msgspec.structs.replace(
        profile,
        labels=_renamed(profile.labels, texts),
        known=np.setdiff1d(profile.known, gone).astype(profile.known.dtype),
    )


def _renamed(labels: tuple[str, ...], texts: frozenset[str]) -> tuple[str, ...]:
    """Return the labels, with a lost one replaced by a unique placeholder with its position."""
    return tuple(
        f"(erased {place})" if label in texts else label for place, label in enumerate(labels, 1)
    )
