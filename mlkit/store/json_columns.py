"""JSON as every database takes it: NaN and infinity, which JSON does not know, are null."""

import json
from typing import Any, Final

import msgspec

from mlkit.errors import DamagedError


def dump(value: object) -> str:
    """Return ``value`` as JSON.

    >>> dump({"mae": float("nan"), "rows": 3})
    '{"mae": null, "rows": 3}'
    """
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(msgspec.json.decode(msgspec.json.encode(value)))


def load(text: str) -> object:
    """Return the value of a column; raises DamagedError for what was never written as JSON."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise DamagedError(
            f"a value in the database is not as it was recorded: {text[:40]!r} is no JSON; "
            "restore a backup (see: mlkit backup restore)"
        ) from error


OPTIONS: Final[dict[str, Any]] = {"json_serializer": dump, "json_deserializer": load}  # of engines
