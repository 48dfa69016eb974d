"""Where a dataset, a model or a prediction comes from, and what was made of it.

The registry is small, so the whole graph is drawn once and then walked both ways from the start.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

import msgspec
from sqlalchemy.orm import Session

from mlkit.errors import NotFoundError
from mlkit.flows import ingest, lineage_origins, log_import
from mlkit.flows.lineage_graph import Edge as Edge
from mlkit.flows.lineage_graph import Graph
from mlkit.flows.lineage_graph import Node as Node
from mlkit.flows.lineage_origins import answers_id
from mlkit.project import Project
from mlkit.store import datasets, predictions, registry, segments
from mlkit.store.registry import ModelVersion, Outline

_PREDICTION_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Lineage(msgspec.Struct, frozen=True):
    """The part of the graph that leads to the start, and the part that it led to."""

    of: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    up: tuple[str, ...]
    down: tuple[str, ...]
    note: str = ""


class _Asked(NamedTuple):
    id: str
    note: str = ""


class _Served(NamedTuple):
    """A prediction, wherever the log has it."""

    id: str
    version_id: int
    role: str
    served_at: datetime
    entity: str | None
    value: object


def trace(project: Project, reference: str) -> Lineage:
    """Return the lineage of ``MODEL@V``, ``DATASET@V`` or a prediction id.

    A bare model means its champion, a bare dataset its newest version. Where a model and a dataset
    have the same name the model is meant; ``dataset:NAME`` means the other. Raises NotFoundError.
    """
    served = None
    if _PREDICTION_ID.fullmatch(reference.removeprefix("prediction:")):
        served = _find_prediction(project, reference.removeprefix("prediction:").lower())
    with project.read() as s:
        asked = _Asked(f"prediction:{served.id}") if served else _resolve(s, reference)
        graph = _draw(s)
        if served:
            _add_prediction(s, graph, served)
    if served:
        _add_learners(project, graph, served)
    up = graph.reach(asked.id, lambda edge: (edge.target, edge.source))
    down = graph.reach(asked.id, lambda edge: (edge.source, edge.target))
    return _cut(project, graph, asked, up, down)


def _resolve(s: Session, reference: str) -> _Asked:
    """Return the node that a person means."""
    kind, colon, rest = reference.partition(":")
    wanted, text = (kind, rest) if colon and kind in ("model", "dataset") else ("", reference)
    name, number = ingest.parse_reference(text)
    model = registry.find_model(s, name) if wanted != "dataset" else None
    dataset = datasets.find(s, name) if wanted != "model" else None
    if model is None and dataset is None:
        raise NotFoundError(
            f"no {wanted or 'model, dataset or prediction'} named '{name}' "
            "(see: mlkit model list, mlkit data list)"
        )
    numbers = {v.number for v in model.versions} if model else set()
    if model is not None and (dataset is None or number is None or number in numbers):
        note = f"'{name}' is also a dataset: mlkit lineage dataset:{text}" if dataset else ""
        return _Asked(_model_id(name, _of_model(s, model, number)), note)
    return _Asked(f"dataset:{datasets.get_version(s, name, number).reference}")


def _of_model(s: Session, model: registry.Model, number: int | None) -> int:
    if number is not None:
        return registry.get_version(s, model, number).number
    champion = registry.champion(s, model)
    if champion is not None:
        return champion.version.number
    return registry.versions(s, model)[-1].number


def _model_id(name: str, number: int) -> str:
    return f"model:{name}@{number}"


def _draw(s: Session) -> Graph:
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
            _model_id(one.model, one.number), "model", f"{one.model} v{one.number}",
            estimator=one.estimator, trained_at=one.created_at,
        )  # fmt: skip
        graph.edge(f"dataset:{by_id[one.dataset_version_id]}", identifier, "trained on")
    _add_deployments(s, graph, {one.id: one for one in models})
    for version in versions:
        lineage_origins.add(graph, version)
    return graph


def _add_deployments(s: Session, graph: Graph, models: Mapping[int, Outline]) -> None:
    """Add when each version served, and all that it answered as one node."""
    for each in registry.outline_of_deployments(s):
        one = models[each.model_version_id]
        until = "" if each.ended_at is None else f" until {each.ended_at:%Y-%m-%d %H:%M:%SZ}"
        identifier = graph.node(
            f"deployment:{each.id}", "deployment",
            f"{each.role} of {one.model} since {each.started_at:%Y-%m-%d %H:%M:%SZ}{until}",
            version=one.number, role=each.role, started_at=each.started_at, ended_at=each.ended_at,
        )  # fmt: skip
        graph.edge(_model_id(one.model, one.number), identifier, "deployed")
        answers = graph.node(
            answers_id(one.model, one.number), "prediction",
            f"predictions of {one.model} v{one.number}", model=one.model, version=one.number,
        )  # fmt: skip
        graph.edge(identifier, answers, "answered")


def _find_prediction(project: Project, identifier: str) -> _Served:
    """Return a prediction, sealed or not; raises NotFoundError."""
    log_import.sync(project)
    with project.read() as s:
        young = predictions.find(s, identifier)
    if young is not None:
        return _Served(
            young.id,
            young.model_version_id,
            young.role,
            young.served_at,
            young.entity,
            msgspec.json.decode(young.value),
        )
    from mlkit.flows import log_segments  # pyarrow, which young predictions do without

    found = log_segments.find_row(project, identifier)
    if found is None:
        raise NotFoundError(
            f"no prediction {identifier} in the log (see: mlkit log show MODEL; older ones than "
            "log.keep are deleted)"
        )
    version_id, row = found
    return _Served(
        identifier, version_id, row["_role"], row["_served_at"], row["_entity"], row["_value"]
    )


def _add_prediction(s: Session, graph: Graph, served: _Served) -> None:
    version = s.get_one(ModelVersion, served.version_id)
    identifier = graph.node(
        f"prediction:{served.id}", "prediction", f"prediction {served.id}", value=served.value,
        entity=served.entity, role=served.role, served_at=served.served_at,
    )  # fmt: skip
    serving = [each for each in registry.outline_of_deployments(s) if _was_serving(each, served)]
    if serving:
        graph.edge(f"deployment:{serving[-1].id}", identifier, "answered")
        return
    graph.edge(_model_id(version.model.name, version.number), identifier, "answered")


def _was_serving(each: registry.Served, served: _Served) -> bool:
    """Tell whether a deployment of its version had begun when a prediction was answered.

    Servers follow a change within a second, so one that had just ended may still have answered.
    """
    return each.model_version_id == served.version_id and each.started_at <= served.served_at


def _add_learners(project: Project, graph: Graph, served: _Served) -> None:
    """Add an edge to each dataset version that has this prediction among its rows."""
    with project.read() as s:
        versions = [v for v in datasets.outline(s) if "picked" in v.transformation]
    for version in versions:
        made = version.transformation
        if made["start"] <= served.served_at.isoformat() < made["end"]:
            from mlkit.flows import retraining_rows  # pyarrow

            if served.id in retraining_rows.stored(project, made["picked"])["_id"].to_pylist():
                target, log = f"dataset:{version.reference}", f"log:{version.reference}"
                graph.edge(f"prediction:{served.id}", log if log in graph.nodes else target, "row")


def _cut(
    project: Project, graph: Graph, asked: _Asked, up: tuple[str, ...], down: tuple[str, ...]
) -> Lineage:
    """Return the nodes and edges on the way, with what only they are asked for."""
    ways = [{asked.id, *up}, {asked.id, *down}]
    kept = [node for node in graph.nodes.values() if node.id in ways[0] | ways[1]]
    edges = [
        edge
        for edge in graph.edges.values()
        if any(edge.source in way and edge.target in way for way in ways)
    ]
    columns = _columns(project, edges)
    counts = _counts(project, kept)
    nodes = [
        msgspec.structs.replace(node, details={**node.details, "rows": counts[node.id]})
        if node.id in counts
        else node
        for node in kept
    ]
    told = [
        msgspec.structs.replace(edge, columns=columns[edge.target])
        if edge.how == "trained on"
        else edge
        for edge in edges
    ]
    return Lineage(asked.id, tuple(nodes), tuple(told), up, down, asked.note)


def _columns(project: Project, edges: Iterable[Edge]) -> dict[str, tuple[str, ...]]:
    """Return the columns of a dataset that each model of ``edges`` takes in, and its target."""
    wanted = {edge.target for edge in edges if edge.how == "trained on"}
    found = {}
    with project.read() as s:
        for one in registry.outline(s):
            identifier = _model_id(one.model, one.number)
            if identifier in wanted:
                schema = s.get_one(ModelVersion, one.id).input_schema
                names = [column["name"] for column in schema.get("columns", ())]
                found[identifier] = (*names, *filter(None, [schema.get("target")]))
    return found


def _counts(project: Project, nodes: Iterable[Node]) -> dict[str, int]:
    """Return how many answers of each version the log has."""
    asked = [node for node in nodes if node.id.startswith("predictions:")]
    if not asked:
        return {}
    found: Counter[str] = Counter()
    names = {node.details["model"] for node in asked}
    with project.read() as s:
        recent = predictions.count_by_version(s)
        for one in registry.outline(s):
            found[answers_id(one.model, one.number)] += recent.get(one.id, 0)
        sealed = {
            name: segments.overlapping(s, registry.get_model(s, name).id, None, None)
            for name in names
        }
    for name, parts in sealed.items():
        for part in parts:
            from mlkit.flows import log_segments  # pyarrow, only for sealed rows

            for number, rows in log_segments.versions(project, part).items():
                found[answers_id(name, number)] += rows
    return {node.id: found[node.id] for node in asked}
