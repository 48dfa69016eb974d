"""Which paths ask for predictions, and in which protocol: read by Flask and by the way past it."""

import re
from functools import lru_cache
from typing import NamedTuple, Protocol

from mlkit.server.problems import Fault, Reply
from mlkit.server.protocols import kserve, mlflow, native, v2
from mlkit.server.query import Answers, Message, Query
from mlkit.steps.rows import Reader


class Wire(Protocol):
    """What a module of ``protocols`` offers."""

    KINDS: tuple[str, ...]

    def decode(self, reader: Reader, message: Message) -> Query:
        """Return the query in a body."""

    def reply(self, answers: Answers, query: Query) -> Reply:
        """Return the answer to it."""

    def refuse(self, fault: Fault) -> Reply:
        """Return the answer to a request that failed."""


class Target(NamedTuple):
    """Where a path leads: ``model`` is None where the server chooses, ``version`` mostly."""

    rule: str
    wire: Wire
    model: str | None
    version: str | None


PREDICTIONS: dict[str, Wire] = {
    "/predict/<model>": native,
    "/invocations": mlflow,
    "/models/<model>/invocations": mlflow,
    "/v1/models/<model>:predict": kserve,
    "/v2/models/<model>/infer": v2,
    "/v2/models/<model>/versions/<version>/infer": v2,
}

_PATTERNS = [
    (rule, wire, re.compile(re.sub(r"<(\w+)>", r"(?P<\1>[^/:]+)", rule)))
    for rule, wire in PREDICTIONS.items()
]


@lru_cache(maxsize=256)
def find(path: str) -> Target | None:
    """Return where a POST to ``path`` leads, or None if it asks for no prediction."""
    for rule, wire, pattern in _PATTERNS:
        match = pattern.fullmatch(path)
        if match:
            parts = match.groupdict()
            return Target(rule, wire, parts.get("model"), parts.get("version"))
    return None
