"""JSON as every database takes it: NaN and infinity, which JSON does not know, are null."""

import json

import msgspec


def dump(value: object) -> str:
    """Return ``value`` as JSON.

    >>> dump({"mae": float("nan"), "rows": 3})
    '{"mae": null, "rows": 3}'
    """
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(msgspec.json.decode(msgspec.json.encode(value)))
