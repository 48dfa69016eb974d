"""What is to be trained on what: a dataset version, a task, the champion to beat."""

from typing import NamedTuple

from mlkit.errors import ConflictError, InvalidInputError
from mlkit.flows.data import ingest
from mlkit.project import Project
from mlkit.steps.inputs.columns import Task
from mlkit.steps.training.target import Wish
from mlkit.store import datasets, deployments, registry
from mlkit.store.datasets import DatasetVersion
from mlkit.store.registry import Model, ModelVersion


class Order(NamedTuple):
    """What is to be trained on what; ``champion`` is the version to beat, if there is one."""

    model: str
    dataset: DatasetVersion
    champion: ModelVersion | None
    task: Wish
    champion_deployment: int | None
    half_life: str = "off"
    ignore: tuple[str, ...] = ()


def look_up(project: Project, model: str, data: str, task: Wish, half_life: str = "off") -> Order:
    """Look up the dataset version and the champion; raises NotFoundError, ConflictError.

    A model keeps its task and target for life: its clients and its actuals depend on them.
    """
    name, number = ingest.parse_reference(data)
    with project.read() as s:
        dataset = datasets.get_version(s, name, number)
        row = registry.find_model(s, model)
        current = deployments.champion(s, row) if row else None
    if dataset.dataset.target is None:
        raise InvalidInputError(
            f"dataset '{name}' has no target column; name it by adding its file again: "
            f"mlkit data add {name} FILE --target COLUMN"
        )
    return Order(
        model=model,
        dataset=dataset,
        champion=current.version if current else None,
        task=_same_task(row, dataset, task),
        champion_deployment=current.id if current else None,
        half_life=half_life,
    )


def _same_task(row: Model | None, dataset: DatasetVersion, task: Wish) -> Wish:
    if row is None:
        return task
    if row.target != dataset.dataset.target or task not in ("auto", row.task):
        wish = "model" if task == "auto" else task
        raise ConflictError(
            f"model '{row.name}' is a {row.task} of '{row.target}', and this would be a {wish} of "
            f"'{dataset.dataset.target}'; give it a name of its own"
        )
    known: Task = "classification" if row.task == "classification" else "regression"
    return known
