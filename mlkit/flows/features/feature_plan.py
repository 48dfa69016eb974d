"""The feature plan of a model: inputs that serving looks up or computes, and the keys for them."""

from dataclasses import dataclass

from mlkit.errors import ConflictError
from mlkit.flows.features import declarations
from mlkit.project import Project, Session
from mlkit.provenance import OnDemandUse, ViewUse
from mlkit.steps.features.view import OnDemand
from mlkit.store import datasets
from mlkit.store.datasets import DatasetVersion


@dataclass(frozen=True)
class FeaturePlan:
    """The columns that serving adds to a request for a joined dataset.

    ``views`` fill their ``columns`` by the value that a row has in the column ``ViewUse.entity``,
    or, where that is ``entity`` (the entity column of the dataset, which is no input of a model),
    by the entity id that the request names for the row. ``on_demand`` comes after, in this order.
    """

    dataset: str
    views: tuple[ViewUse, ...]
    on_demand: tuple[OnDemandUse, ...]
    entity: str | None


def of(s: Session, version: DatasetVersion) -> FeaturePlan | None:
    """Return the plan of a dataset version, None if it uses no feature views.

    A version of logged rows has the plan of the join that it descends from, whatever was joined
    since, because its rows were served by that plan. Pass ``model_version.dataset_version``.
    """
    joined = _joined(s, version)
    made = None if joined is None else joined.join
    if joined is None or made is None:
        return None
    return FeaturePlan(joined.reference, made.views, made.on_demand, version.dataset.entity_column)


def _joined(s: Session, version: DatasetVersion) -> DatasetVersion | None:
    """Return the version if it is a join, else its nearest ancestor in the dataset that is one."""
    if version.join is not None:
        return version
    if not version.parents:
        return None
    made = datasets.made(s, version.dataset_id)
    name, waiting = version.dataset.name, list(version.parents)
    while waiting:
        dataset, _, number = waiting.pop(0).rpartition("@")
        found = made.pop(int(number), None) if dataset == name else None
        if found is None:  # of another dataset, or a cycle
            continue
        if found.joined:
            return datasets.get_version(s, name, int(number))
        waiting = [*found.parents, *waiting]
    return None


def transformations(project: Project, plan: FeaturePlan) -> list[OnDemand]:
    """Return the functions of the plan from the present ``features.py``.

    Raises ConflictError if one of them is of another version than the model was trained with,
    NotFoundError if it is gone.
    """
    if not plan.on_demand:
        return []
    declared = declarations.load(project)
    found = []
    for use in plan.on_demand:
        made = declared.transformation(use.name)
        if made.version != use.version:
            raise ConflictError(
                f"{made} is of version {made.version} and {plan.dataset} was made with version "
                f"{use.version}; train on a new version of the dataset"
            )
        found.append(made)
    return found
