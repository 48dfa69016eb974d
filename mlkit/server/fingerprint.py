"""The fingerprint of a request: two requests with one request id must have the same.

Equal up to spelling: spaces, the order of keys, escapes, ``30.0`` for ``30``. It is computed from
the body that was sent, not from the row that a model reads, so a promotion does not change it.
"""

import hashlib
import json
from collections.abc import Collection
from typing import Any, Final

from mlkit.server.problems import RefusedError
from mlkit.server.protocols import v2, v2_messages
from mlkit.server.query import Message
from mlkit.server.routes import Target

_EXACT: Final = 2**53  # up to here a float represents every integer exactly
_MOST_DIGITS: Final = 300  # longer integers overflow a float and are compared as text


def of(target: Target, message: Message) -> str:
    """Return the fingerprint of a request that was decoded; raises RefusedError 400."""
    text, rest, ignored = message.body, b"", frozenset[str]()
    if target.wire is v2:
        text, rest = v2_messages.split(message.body, message.headers)
        ignored = frozenset({"id"})  # clients send another one with each attempt
    digest = hashlib.sha256()
    for part in (target.rule, target.version or "", canonical(text, ignored)):
        digest.update(part.encode() + b"\0")
    digest.update(rest)
    return digest.hexdigest()


def canonical(text: bytes, ignored: Collection[str] = ()) -> str:
    r"""Return the canonical form of a JSON object, without fields that are null or ``ignored``.

    >>> canonical(rb'{"b": [3.0, 1e2], "a": "\u0041", "c": null}')
    '{"a":"A","b":[3,100]}'
    """
    try:
        found = json.loads(text.decode(), parse_int=_integer, parse_float=_number)
        fields = {k: v for k, v in found.items() if v is not None and k not in ignored}
        return json.dumps(fields, sort_keys=True, separators=(",", ":"))
    except RecursionError as error:
        raise RefusedError(400, "the body is nested too deeply") from error


def _integer(text: str) -> Any:
    if len(text) > _MOST_DIGITS:
        return text
    number = int(text)
    if abs(number) < _EXACT:
        return number
    return float(number) if float(number) == number else number


def _number(text: str) -> Any:
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < _EXACT else number
