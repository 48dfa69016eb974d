"""``mlkit lineage``."""

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from mlkit.cli import output

if TYPE_CHECKING:
    from rich.tree import Tree

    from mlkit.flows.lineage.ask import Lineage
    from mlkit.flows.lineage.graph import Edge
    from mlkit.project import Project

_MOST_COLUMNS = 8

Turn = Callable[["Edge"], tuple[str, str]]


@click.command()
@click.argument("reference", metavar="MODEL@V|DATASET@V|PREDICTION_ID")
@output.json_option
@output.with_project
def lineage(project: "Project", reference: str, *, as_json: bool) -> None:
    """Show where a model, dataset or prediction comes from and what was made of it.

    A bare MODEL means its champion, a bare DATASET its newest version. Where both have the same
    name, write model:NAME or dataset:NAME.
    """
    from mlkit.flows.lineage import ask as flow  # imports SQLAlchemy

    output.emit(flow.trace(project, reference), as_json=as_json, render=_render)


def _render(found: "Lineage") -> None:
    if found.note:
        output.say(f"note: {found.note}", err=True)
    output.say("comes from")
    output.print_tree(_tree(found, set(found.up), lambda edge: (edge.target, edge.source)))
    output.say("led to")
    output.print_tree(_tree(found, set(found.down), lambda edge: (edge.source, edge.target)))


def _tree(found: "Lineage", reached: set[str], turn: Turn) -> "Tree":
    """Return one direction as a tree; a repeated node is expanded only once."""
    from rich.tree import Tree

    nodes = {node.id: node for node in found.nodes}
    ways: dict[str, list[tuple[str, Edge]]] = defaultdict(list)
    for edge in found.edges:
        here, there = turn(edge)
        if there in reached and (here in reached or here == found.of):
            ways[here].append((there, edge))
    drawn: set[str] = set()

    def grow(branch: "Tree", here: str) -> None:
        for there, edge in ways[here]:
            again = there in drawn and bool(ways[there])
            text = f"{_label(nodes[there].label, nodes[there].details)}  {_how(edge)}"
            below = branch.add(output.plain(f"{text}  (see above)" if again else text))
            if not again:
                drawn.add(there)
                grow(below, there)

    root = Tree(output.plain(_label(nodes[found.of].label, nodes[found.of].details)))
    grow(root, found.of)
    return root


def _label(label: str, details: dict[str, object]) -> str:
    rows = details.get("rows")
    collected = ", collected" if details.get("collected_at") else ""
    return label if rows is None else f"{label} ({rows:,} rows{collected})"


def _how(edge: "Edge") -> str:
    if not edge.columns:
        return f"[{edge.how}]"
    shown = ", ".join(edge.columns[:_MOST_COLUMNS])
    more = len(edge.columns) - _MOST_COLUMNS
    return f"[{edge.how}: {shown}{f' and {more} more' if more > 0 else ''}]"
