"""The one strict rule for every name that a client can send, so that none is ever a path."""

import re

from mlkit.errors import InvalidInputError

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def check(noun: str, name: str) -> str:
    """Return ``name`` if it may name a ``noun``; raises InvalidInputError."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise InvalidInputError(
            f"'{name}' cannot name a {noun}: use 1 to 64 of a-z 0-9 . _ - and start with a letter "
            "or digit"
        )
    return name
