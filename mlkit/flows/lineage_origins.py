"""What each version of a dataset was made of: sources, the log, other versions, features."""

from collections.abc import Mapping
from typing import Any

from mlkit.flows import rebuild
from mlkit.flows.lineage_graph import Graph
from mlkit.store.datasets import DatasetVersion


def answers_id(name: str, number: int) -> str:
    """Return the id of the node that stands for all answers of a version of a model."""
    return f"predictions:{name}@{number}"


def add(graph: Graph, version: DatasetVersion) -> None:
    """Draw what a version of a dataset was made of."""
    made, target = version.transformation, f"dataset:{version.reference}"
    kind = rebuild.kind(version)
    if kind == "log":
        log = graph.node(
            f"log:{version.reference}", "log",
            f"log of {made['model']}, {made['start'][:10]} to {made['end'][:10]}",
            model=made["model"], start=made["start"], end=made["end"],
        )  # fmt: skip
        for number in made.get("versions", ()):
            graph.edge(answers_id(made["model"], number), log, "logged")
        graph.edge(log, target, "rows with ripe actuals", made.get("types", ()))
    elif kind not in ("window", "join"):
        source = graph.node(f"source:{version.source}", "source", version.source, made_by=kind)
        graph.edge(source, target, kind)
    _add_views(graph, made, target)
    _add_on_demand(graph, made, target)
    of_views = {view.get("dataset") for view in made.get("views", ())}
    for other in version.made_of:
        if other not in of_views:
            how = "rows" if other == made.get("base") or kind == "join" else "parent"
            graph.edge(f"dataset:{other}", target, how)


def _add_views(graph: Graph, made: Mapping[str, Any], target: str) -> None:
    for view in made.get("views", ()):
        name = f"{view['name']}@{view['version']}"
        identifier = graph.node(f"view:{name}", "view", f"feature view {name}")
        database = made.get("databases", {}).get(view["name"])
        if view.get("dataset"):
            graph.edge(f"dataset:{view['dataset']}", identifier, "rows of the view")
        elif database:
            graph.node(f"source:{database}", "source", database, made_by="query")
            graph.edge(f"source:{database}", identifier, "query")
        graph.edge(identifier, target, "joined", view.get("columns", ()))


def _add_on_demand(graph: Graph, made: Mapping[str, Any], target: str) -> None:
    """Draw each function, after the views and functions whose columns it is given, or the base."""
    makers = {
        column: f"view:{view['name']}@{view['version']}"
        for view in made.get("views", ())
        for column in view.get("columns", ())
    }
    for function in made.get("on_demand", ()):
        name = f"{function['name']}@{function['version']}"
        label = f"on-demand transformation {name}"
        identifier = graph.node(f"on_demand:{name}", "on_demand", label)
        given: dict[str, list[str]] = {}
        for column in function["inputs"]:
            given.setdefault(makers.get(column, f"dataset:{made.get('base')}"), []).append(column)
        for source, columns in given.items():
            graph.edge(source, identifier, "inputs", columns)
        graph.edge(identifier, target, "computed", function["columns"])
        makers |= dict.fromkeys(function["columns"], identifier)
