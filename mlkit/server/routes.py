"""The prediction routes and their protocols, for Flask and for ``front``, which bypasses it."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

from mlkit.server.problems import Fault, Reply
from mlkit.server.protocols import kserve, mlflow, native, v2
from mlkit.server.query import Answers, Message, Query
from mlkit.steps.inputs.rows import Reader

_MOST_PATHS, _LONGEST_PATH = 1_000, 200  # in the cache


class Wire(Protocol):
    """The interface of a module in ``protocols``."""

    KINDS: tuple[str, ...]

    def decode(self, reader: Reader, message: Message) -> Query:
        """Return the query in a request body."""

    def reply(self, answers: Answers, query: Query) -> Reply:
        """Return the response to the query."""

    def refuse(self, fault: Fault) -> Reply:
        """Return the response to a request that failed."""


class Target(NamedTuple):
    """The route of a path; ``model`` and ``version`` are None where the path names none."""

    rule: str
    wire: Wire
    model: str | None
    version: str | None


PREDICTIONS: Mapping[str, Wire] = MappingProxyType({
    "/predict/<model>": native,
    "/invocations": mlflow,
    "/models/<model>/invocations": mlflow,
    "/v1/models/<model>:predict": kserve,
    "/v2/models/<model>/infer": v2,
    "/v2/models/<model>/versions/<version>/infer": v2,
})  # fmt: skip


class Routes:
    """The prediction routes of one server; ``more`` are those that its platform requires."""

    def __init__(self, more: Mapping[str, Wire] = MappingProxyType({})) -> None:
        self.rules = {**PREDICTIONS, **more}
        self._patterns = [(rule, wire, _pattern(rule)) for rule, wire in self.rules.items()]
        self._known: dict[str, Target] = {}

    def find(self, path: str) -> Target | None:
        """Return the route of a POST to ``path``, None if it is no prediction route."""
        target = self._known.get(path) or self._match(path)
        if target and len(self._known) < _MOST_PATHS and len(path) <= _LONGEST_PATH:
            self._known[path] = target
        return target

    def _match(self, path: str) -> Target | None:
        for rule, wire, pattern in self._patterns:
            match = pattern.fullmatch(path)
            if match:
                parts = match.groupdict()
                return Target(rule, wire, parts.get("model"), parts.get("version"))
        return None


def _pattern(rule: str) -> re.Pattern[str]:
    r"""Return ``rule`` as Flask reads it: a name in brackets matches anything but / and colon.

    >>> _pattern("/a.b/<model>").pattern
    '/a\\.b/(?P<model>[^/:]+)'
    """
    parts = re.split(r"<(\w+)>", rule)
    texts = [
        f"(?P<{part}>[^/:]+)" if place % 2 else re.escape(part) for place, part in enumerate(parts)
    ]
    return re.compile("".join(texts))
