"""Answer lineage queries: the sources and uses of a dataset, a model or a prediction.

The registry is small, so the whole graph is built, then traversed both ways from the start node.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from mlkit.errors import NotFoundError
from mlkit.flows.data import ingest
from mlkit.flows.lineage import prediction, records
from mlkit.flows.lineage.graph import Edge, Graph, Node, answers_id, model_id
from mlkit.project import Project, Session
from mlkit.store import datasets, deployments, predictions, registry, segments
from mlkit.store.registry import ModelVersion

_PREDICTION_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Lineage(msgspec.Struct, frozen=True):
    """The ancestors and the descendants of the start node."""

    of: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    up: tuple[str, ...]
    down: tuple[str, ...]
    note: str = ""


class _Start(NamedTuple):
    id: str
    note: str = ""


def trace(project: Project, reference: str) -> Lineage:
    """Return the lineage of ``MODEL@V``, ``DATASET@V`` or a prediction id.

    A bare model means its champion, a bare dataset its newest version. Where a model and a dataset
    have the same name the model is meant; ``dataset:NAME`` means the other. Raises NotFoundError.
    """
    served = None
    if _PREDICTION_ID.fullmatch(reference.removeprefix("prediction:")):
        served = prediction.find(project, reference.removeprefix("prediction:").lower())
    with project.read() as s:
        start = _Start(f"prediction:{served.id}") if served else _resolve(s, reference)
        graph = records.draw(s)
        if served:
            prediction.add(s, graph, served)
    if served:
        prediction.add_learners(project, graph, served)
    up = graph.reach(start.id, lambda edge: (edge.target, edge.source))
    down = graph.reach(start.id, lambda edge: (edge.source, edge.target))
    return _cut(project, graph, start, up, down)


def _resolve(s: Session, reference: str) -> _Start:
    """Return the node of a reference."""
    kind, colon, rest = reference.partition(":")
    wanted, text = (kind, rest) if colon and kind in ("model", "dataset") else ("", reference)
    name, number = ingest.parse_reference(text)
    model = registry.find_model(s, name) if wanted != "dataset" else None
    dataset = datasets.find(s, name) if wanted != "model" else None
    if model is None and dataset is None:
        raise NotFoundError(
            f"no {wanted or 'model, dataset or prediction'} named '{name}' "
            "(see: mlkit model list, mlkit data list; of a feature view: mlkit features lineage)"
        )
    numbers = {v.number for v in model.versions} if model else set()
    if model is not None and (dataset is None or number is None or number in numbers):
        note = f"'{name}' is also a dataset: mlkit lineage dataset:{text}" if dataset else ""
        return _Start(model_id(name, _of_model(s, model, number)), note)
    return _Start(f"dataset:{datasets.get_version(s, name, number).reference}")


def _of_model(s: Session, model: registry.Model, number: int | None) -> int:
    if number is not None:
        return registry.get_version(s, model, number).number
    champion = deployments.champion(s, model)
    if champion is not None:
        return champion.version.number
    return registry.versions(s, model)[-1].number


def _cut(
    project: Project, graph: Graph, start: _Start, up: tuple[str, ...], down: tuple[str, ...]
) -> Lineage:
    """Return the reachable nodes and edges, with details that are computed only for these."""
    ways = [{start.id, *up}, {start.id, *down}]
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
    return Lineage(start.id, tuple(nodes), tuple(told), up, down, start.note)


def _columns(project: Project, edges: Iterable[Edge]) -> dict[str, tuple[str, ...]]:
    """Return the input columns and the target of each model of ``edges``."""
    wanted = {edge.target for edge in edges if edge.how == "trained on"}
    found = {}
    with project.read() as s:
        for one in registry.outline(s):
            identifier = model_id(one.model, one.number)
            if identifier in wanted:
                schema = s.get_one(ModelVersion, one.id).input_schema
                names = [column["name"] for column in schema.get("columns", ())]
                found[identifier] = (*names, *filter(None, [schema.get("target")]))
    return found


def _counts(project: Project, nodes: Iterable[Node]) -> dict[str, int]:
    """Return the number of logged predictions of each version."""
    answered = [node for node in nodes if node.id.startswith("predictions:")]
    if not answered:
        return {}
    found: Counter[str] = Counter()
    names = {node.details["model"] for node in answered}
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
            from mlkit.flows.log import log_segments  # imports pyarrow, only for sealed rows

            for number, rows in log_segments.versions(project, part).items():
                found[answers_id(name, number)] += rows
    return {node.id: found[node.id] for node in answered}
