"""Build the lineage graph of all records: datasets, views, models, deployments, predictions."""

from collections.abc import Mapping

from mlkit.flows.lineage import rebuild
from mlkit.flows.lineage.graph import Graph, answers_id, model_id
from mlkit.project import Session
from mlkit.provenance import Join, Log, OnDemandUse, ViewUse, Window
from mlkit.store import datasets, deployments, registry
from mlkit.store.datasets import DatasetVersion
from mlkit.store.registry import Outline


def draw(s: Session) -> Graph:
    """Return the graph of the whole registry."""
    graph = Graph()
    versions, models = datasets.outline(s), registry.outline(s)
    for version in versions:
        graph.node(
            f"dataset:{version.reference}", "dataset", version.reference, rows=version.rows,
            sha256=version.sha256, added_at=version.created_at, collected_at=version.collected_at,
        )  # fmt: skip
    by_id = {version.id: version.reference for version in versions}
    for one in models:
        identifier = graph.node(
            model_id(one.model, one.number), "model", f"{one.model} v{one.number}",
            estimator=one.estimator, trained_at=one.created_at,
        )  # fmt: skip
        graph.edge(f"dataset:{by_id[one.dataset_version_id]}", identifier, "trained on")
    _add_deployments(s, graph, {one.id: one for one in models})
    for version in versions:
        _add_origin(graph, version)
    return graph


def _add_deployments(s: Session, graph: Graph, models: Mapping[int, Outline]) -> None:
    """Add the deployments of each version, and one node for all its predictions."""
    for each in deployments.outline(s):
        one = models[each.model_version_id]
        until = "" if each.ended_at is None else f" until {each.ended_at:%Y-%m-%d %H:%M:%SZ}"
        identifier = graph.node(
            f"deployment:{each.id}", "deployment",
            f"{each.role} of {one.model} since {each.started_at:%Y-%m-%d %H:%M:%SZ}{until}",
            version=one.number, role=each.role, started_at=each.started_at, ended_at=each.ended_at,
        )  # fmt: skip
        graph.edge(model_id(one.model, one.number), identifier, "deployed")
        answers = graph.node(
            answers_id(one.model, one.number), "prediction",
            f"predictions of {one.model} v{one.number}", model=one.model, version=one.number,
        )  # fmt: skip
        graph.edge(identifier, answers, "answered")


def _add_origin(graph: Graph, version: DatasetVersion) -> None:
    target = f"dataset:{version.reference}"
    match version.provenance:
        case Log() as made:
            graph.edge(_add_log(graph, version, made), target, "rows with ripe actuals", made.types)
        case Join() as made:
            _add_joined(graph, made, target)
        case Window():
            pass
        case _:
            kind = rebuild.kind(version)
            source = graph.node(f"source:{version.source}", "source", version.source, made_by=kind)
            graph.edge(source, target, kind)
    of_views = {view.dataset for view in version.join.views} if version.join else ()
    for other in version.made_of:
        if other not in of_views:
            how = "rows" if other == version.base or version.join else "parent"
            graph.edge(f"dataset:{other}", target, how)


def _add_log(graph: Graph, version: DatasetVersion, made: Log) -> str:
    """Add the logged rows that a dataset version holds, with edges from their model versions."""
    log = graph.node(
        f"log:{version.reference}", "log",
        f"log of {made.model}, {made.start[:10]} to {made.end[:10]}",
        model=made.model, start=made.start, end=made.end,
    )  # fmt: skip
    for number in made.versions:
        graph.edge(answers_id(made.model, number), log, "logged")
    return log


def _add_joined(graph: Graph, made: Join, target: str) -> None:
    for view in made.views:
        graph.edge(_add_view(graph, view), target, "joined", view.columns)
    for function in made.on_demand:
        graph.edge(_add_function(graph, made, function), target, "computed", function.columns)


def _add_view(graph: Graph, view: ViewUse) -> str:
    """Add a view, with an edge from its dataset or database."""
    identifier = graph.node(_view_id(view), "view", f"feature view {view.name}@{view.version}")
    if view.dataset:
        graph.edge(f"dataset:{view.dataset}", identifier, "rows of the view")
    else:  # only features.py has its URL
        label = f"database of view {view.name}"
        graph.edge(graph.node(f"source:{label}", "source", label), identifier, "rows of the view")
    return identifier


def _view_id(view: ViewUse) -> str:
    """Return the id of a view over one version of its dataset, which determines its rows."""
    over = f":{view.dataset}" if view.dataset else ""
    return f"view:{view.name}@{view.version}{over}"


def _add_function(graph: Graph, made: Join, function: OnDemandUse) -> str:
    """Add an on-demand transformation, with edges from the base and views of its inputs."""
    name = f"{function.name}@{function.version}"
    identifier = graph.node(f"function:{name}", "function", f"on-demand {name}")
    left = list(function.inputs)
    for view in made.views:
        taken = [column for column in left if column in view.columns]
        if taken:
            graph.edge(_view_id(view), identifier, "inputs", taken)
        left = [column for column in left if column not in taken]
    if left:
        graph.edge(f"dataset:{made.base}", identifier, "inputs", left)
    return identifier
