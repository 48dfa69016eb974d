"""The lineage graph: nodes, edges, ids, and reachability."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec

NodeKind = Literal[
    "source", "log", "dataset", "view", "function", "model", "deployment", "prediction"
]


class Node(msgspec.Struct, frozen=True):
    """One node; ``id`` is also a reference for ``lineage``, unless the node is a source."""

    id: str
    kind: NodeKind
    label: str
    details: dict[str, Any] = {}


class Edge(msgspec.Struct, frozen=True):
    """A directed edge, with the columns that flow over it if these are known."""

    source: str = msgspec.field(name="from")
    target: str = msgspec.field(name="to")
    how: str
    columns: tuple[str, ...] = ()


class Graph:
    """Nodes by id, and edges without duplicates."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.edges: dict[tuple[str, str], Edge] = {}

    def node(self, identifier: str, kind: NodeKind, label: str, **details: Any) -> str:
        """Add a node if it is new, and return its id."""
        self.nodes.setdefault(identifier, Node(identifier, kind, label, details))
        return identifier

    def edge(self, source: str, target: str, how: str, columns: Iterable[str] = ()) -> None:
        """Add an edge between two nodes if both exist and the edge is new."""
        if source in self.nodes and target in self.nodes:
            self.edges.setdefault((source, target), Edge(source, target, how, tuple(columns)))

    def reach(self, start: str, step: Callable[[Edge], tuple[str, str]]) -> tuple[str, ...]:
        """Return the nodes reachable from ``start`` in the direction ``step``."""
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
    """Return the id of the node for all predictions of a model version."""
    return f"predictions:{name}@{number}"
