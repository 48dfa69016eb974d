"""What makes two requests the same: the fingerprint that a request id stands for.

Spelling does not count: spaces, the order of keys, escapes, ``30.0`` for ``30``. It is made of what
the client said and not of what a model reads in it, so that a promotion in between changes nothing.
"""

import hashlib
import json
from collections.abc import Collection
from typing import Any, Final

from mlkit.server.problems import RefusedError
from mlkit.server.protocols import v2, v2_messages
from mlkit.server.query import Message
from mlkit.server.routes import Target

_EXACT: Final = 2**53  # up to here every whole number is a float, too
_MOST_DIGITS: Final = 300  # of a whole number that can be a float; more are compared as text


def of(target: Target, message: Message) -> str:
    """Return the fingerprint of a request that could be read; raises RefusedError 400."""
    text, rest, ignored = message.body, b"", frozenset[str]()
    if target.wire is v2:
        text, rest = v2_messages.split(message.body, message.headers)
        ignored = frozenset({"id"})  # clients give each attempt another one, and get it back
    made = hashlib.sha256()
    for part in (target.rule, target.version or "", canonical(text, ignored)):
        made.update(part.encode() + b"\0")
    made.update(rest)
    return made.hexdigest()


def canonical(text: bytes, ignored: Collection[str] = ()) -> str:
    r"""Return the one spelling of a JSON object; fields that are null or ``ignored`` are left out.

    >>> canonical(rb'{"b": [3.0, 1e2], "a": "\u0041", "c": null}')
    '{"a":"A","b":[3,100]}'
    """
    try:
        found = json.loads(text.decode(), parse_int=_whole, parse_float=_number)
        fields = {k: v for k, v in found.items() if v is not None and k not in ignored}
        return json.dumps(fields, sort_keys=True, separators=(",", ":"))
    except RecursionError as error:
        raise RefusedError(400, "the body is nested too deeply") from error


def _whole(text: str) -> Any:
    if len(text) > _MOST_DIGITS:
        return text
    number = int(text)
    if abs(number) < _EXACT:
        return number
    return float(number) if float(number) == number else number


def _number(text: str) -> Any:
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < _EXACT else number
