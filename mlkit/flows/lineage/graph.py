"""The graph of a lineage: its nodes and edges, their ids, and what leads where."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec

NodeKind = Literal[
    "source", "log", "dataset", "view", "function", "model", "deployment", "prediction"
]


class Node(msgspec.Struct, frozen=True):
    """One thing; ``id`` is also a reference that can be asked for, if it is no source."""

    id: str
    kind: NodeKind
    label: str
    details: dict[str, Any] = {}


class Edge(msgspec.Struct, frozen=True):
    """What came ``from`` what, and which columns went over where that is known."""

    source: str = msgspec.field(name="from")
    target: str = msgspec.field(name="to")
    how: str
    columns: tuple[str, ...] = ()


class Graph:
    """Nodes by id, and edges that are there once."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.edges: dict[tuple[str, str], Edge] = {}

    def node(self, identifier: str, kind: NodeKind, label: str, **details: Any) -> str:
        """Add a node, if it is not there yet, and return its id."""
        self.nodes.setdefault(identifier, Node(identifier, kind, label, details))
        return identifier

    def edge(self, source: str, target: str, how: str, columns: Iterable[str] = ()) -> None:
        """Add an edge between two nodes, if both are there and it is not."""
        if source in self.nodes and target in self.nodes:
            self.edges.setdefault((source, target), Edge(source, target, how, tuple(columns)))

    def reach(self, start: str, step: Callable[[Edge], tuple[str, str]]) -> tuple[str, ...]:
        """Return what can be reached from ``start`` by edges as ``step`` turns them."""
        ways: dict[str, list[str]] = defaultdict(list)
        for edge in self.edges.values():
            here, there = step(edge)
            ways[here].append(there)
        found = {start: None}
        waiting = [start]
        while waiting:
            fresh = [node for node in ways[waiting.pop()] if node not in found]
            found.update(dict.fromkeys(fresh))
            waiting += fresh
        return tuple(found)[1:]


def model_id(name: str, number: int) -> str:
    """Return the id of a model version."""
    return f"model:{name}@{number}"


def answers_id(name: str, number: int) -> str:
    """Return the id of all that a model version answered."""
    return f"predictions:{name}@{number}"
