"""Which inputs of a model come from feature views: what serving fills in, and by what key."""

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
    """What a joined dataset adds to the columns of a request.

    ``views`` fill their ``columns`` by the value that a row has in the column ``ViewUse.entity``,
    or, where that is ``entity`` (the entity column of the dataset, which is no input of a model),
    by the entity id that the request names for the row. ``on_demand`` comes after, in this order.
    """

    dataset: str
    views: tuple[ViewUse, ...]
    on_demand: tuple[OnDemandUse, ...]
    entity: str | None


def of(s: Session, version: DatasetVersion) -> FeaturePlan | None:
    """Return the plan of a dataset version, None if it has nothing from feature views.

    A version of logged rows has the plan of the join that it descends from, whatever was joined
    since: its rows were served by that. ``model_version.dataset_version`` is what to ask with.
    """
    joined = _joined(s, version)
    made = None if joined is None else joined.join
    if joined is None or made is None:
        return None
    return FeaturePlan(joined.reference, made.views, made.on_demand, version.dataset.entity_column)


def _joined(s: Session, version: DatasetVersion) -> DatasetVersion | None:
    """Return the version itself if it is a join, or the nearest ancestor of its dataset that is."""
    if version.join is not None:
        return version
    if not version.parents:
        return None
    made = datasets.made(s, version.dataset_id)
    name, waiting = version.dataset.name, list(version.parents)
    while waiting:
        dataset, _, number = waiting.pop(0).rpartition("@")
        found = made.pop(int(number), None) if dataset == name else None
        if found is None:  # of another dataset, or seen before
            continue
        if found.joined:
            return datasets.get_version(s, name, int(number))
        waiting = [*found.parents, *waiting]
    return None


def transformations(project: Project, plan: FeaturePlan) -> list[OnDemand]:
    """Return the functions of the plan as ``features.py`` has them now.

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
