"""One prediction in the lineage graph: its log, its deployment, and the datasets that use it."""

from datetime import datetime
from typing import NamedTuple

import msgspec

from mlkit.errors import NotFoundError
from mlkit.flows.lineage.graph import Graph, model_id
from mlkit.flows.log import imports
from mlkit.project import Project, Session
from mlkit.provenance import Log
from mlkit.store import datasets, deployments, predictions
from mlkit.store.registry import ModelVersion


class Served(NamedTuple):
    """A logged prediction, sealed or not."""

    id: str
    version_id: int
    role: str
    served_at: datetime
    entity: str | None
    value: object


def find(project: Project, identifier: str) -> Served:
    """Return a prediction, sealed or not; raises NotFoundError."""
    imports.sync(project)
    with project.read() as s:
        young = predictions.find(s, identifier)
    if young is not None:
        return Served(
            young.id,
            young.model_version_id,
            young.role,
            young.served_at,
            young.entity,
            msgspec.json.decode(young.value),
        )
    from mlkit.flows.log import log_segments  # imports pyarrow, not needed for recent predictions

    found = log_segments.find_row(project, identifier)
    if found is None:
        raise NotFoundError(
            f"no prediction {identifier} in the log (see: mlkit log show MODEL; older ones than "
            "log.keep are deleted)"
        )
    version_id, row = found
    return Served(
        identifier, version_id, row["_role"], row["_served_at"], row["_entity"], row["_value"]
    )


def add(s: Session, graph: Graph, served: Served) -> None:
    """Add the prediction, and an edge from the deployment that made it."""
    version = s.get_one(ModelVersion, served.version_id)
    identifier = graph.node(
        f"prediction:{served.id}", "prediction", f"prediction {served.id}", value=served.value,
        entity=served.entity, role=served.role, served_at=served.served_at,
    )  # fmt: skip
    serving = [each for each in deployments.outline(s) if _was_serving(each, served)]
    if serving:
        graph.edge(f"deployment:{serving[-1].id}", identifier, "answered")
        return
    graph.edge(model_id(version.model.name, version.number), identifier, "answered")


def _was_serving(each: deployments.Served, served: Served) -> bool:
    """Tell whether a deployment may have made a prediction: it had begun by then.

    Servers follow a change within a second, so a deployment that had just ended may have made it.
    """
    return each.model_version_id == served.version_id and each.started_at <= served.served_at


def add_learners(project: Project, graph: Graph, served: Served) -> None:
    """Add an edge to each dataset version that has this prediction among its rows."""
    with project.read() as s:
        versions = datasets.outline(s)
    for version in versions:
        made = version.provenance
        if not isinstance(made, Log) or not made.picked:
            continue
        if made.start <= served.served_at.isoformat() < made.end:
            from mlkit.flows.training import retraining_rows  # imports pyarrow

            if served.id in retraining_rows.stored(project, made.picked)["_id"].to_pylist():
                target, log = f"dataset:{version.reference}", f"log:{version.reference}"
                graph.edge(f"prediction:{served.id}", log if log in graph.nodes else target, "row")
