"""The Python interface: what jobs, notebooks and scripts call, with the project first.

``import mlkit`` loads this module when one of its names is used, and each function loads what it
needs when it is called. All raise ``MlkitError`` with what was wrong and what to do about it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlkit import project as projects

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import PathLike

    from mlkit.flows.features.catalog import Got
    from mlkit.flows.features.materialize import Materialized
    from mlkit.flows.monitoring.drift_watch import DriftChecked
    from mlkit.flows.monitoring.performance_watch import PerformanceChecked
    from mlkit.flows.operations.backup import Created
    from mlkit.flows.predict import Predicted
    from mlkit.flows.registry.deploy import Deployed
    from mlkit.flows.training.train import Trained
    from mlkit.project import Project
    from mlkit.steps.training.target import Wish

__all__ = [
    "check_drift",
    "check_performance",
    "create_backup",
    "for_each_champion",
    "get_features",
    "materialize",
    "open_project",
    "predict",
    "process_alerts",
    "promote",
    "prune",
    "retrain_if_due",
    "rollback",
    "rotate_backups",
    "train",
]


def open_project(path: str | PathLike[str] | None = None) -> Project:
    """Open the project in the folder ``path``.

    Without one it is what ``MLKIT_PROJECT`` names, else the nearest folder above the current one
    with an ``mlkit.toml``. An older database is backed up and upgraded. Raises NotFoundError if
    there is no project, and ConflictError if its database is newer than this program.

    >>> import mlkit
    >>> project = mlkit.open_project()
    """
    from pathlib import Path

    return projects.open_project(None if path is None else Path(path))


def train(
    project: Project,
    model: str,
    data: str,
    *,
    task: Wish = "auto",
    estimator: str = "auto",
    tune: int = 0,
    half_life: str = "off",
    ignore: Sequence[str] = (),
    promote: bool = False,
    reason: str = "",
) -> Trained:
    """Train ``model`` on a dataset, judge it, and register it as a new version.

    ``data`` is ``name`` or ``name@version``. ``estimator`` is one of the built-in ones or your own
    as ``module:function``; ``tune`` is how many settings of it to try. Rows lose half of their
    weight for every ``half_life`` (``30d``) of their age. The columns ``ignore`` are not used.
    ``promote`` puts the version into service if the gate accepts it; a version that it refuses is
    registered with the reason. Raises InvalidInputError if the rows cannot be learned from.

    >>> done = mlkit.train(project, "churn", "churn", estimator="linear", reason="more rows")
    >>> done.version, done.promoted
    (2, False)
    """
    from mlkit.flows.training import train as training

    return training.train(
        project,
        model,
        data,
        task=task,
        estimator=estimator,
        tune=tune,
        half_life=half_life,
        ignore=ignore,
        promote=promote,
        reason=reason,
    )


def retrain_if_due(project: Project, model: str) -> str:
    """Retrain ``model`` if an open alert asks for it, and promote what the gate accepts.

    What asks is the setting ``retrain.on``. Returns one line about what was done and why. Raises
    NotFoundError without a champion, and CheckFailedError if the rows break the dataset's rules.

    >>> mlkit.retrain_if_due(project, "churn")
    'not due'
    """
    from mlkit.flows.training import retrain

    return retrain.retrain_if_due(project, model)


def promote(
    project: Project, model: str, version: int, *, reason: str = "", force: bool = False
) -> Deployed:
    """Make a version the champion: the one that answers.

    ``force`` overrules the gate and says so in the record. Raises NotFoundError if there is no such
    version, and CheckFailedError if the gate refused it.

    >>> mlkit.promote(project, "churn", 2, force=True, reason="agreed in review").version
    2
    """
    from mlkit.flows.registry import deploy

    return deploy.promote(project, model, version, reason=reason, force=force)


def rollback(project: Project, model: str, *, to: int | None = None, reason: str = "") -> Deployed:
    """Return ``model`` to the champion before this one, or to the version ``to``.

    Raises ConflictError if there is none to return to.

    >>> mlkit.rollback(project, "churn", reason="too many false alarms").version
    1
    """
    from mlkit.flows.registry import deploy

    return deploy.rollback(project, model, to=to, reason=reason)


def predict(
    project: Project,
    model: str,
    file: str | PathLike[str],
    output: str | PathLike[str],
    *,
    version: int | None = None,
) -> Predicted:
    """Write the rows of a CSV or Parquet ``file`` with a column ``prediction`` to ``output``.

    The champion answers, or ``version``. CSV is read as the files were that the model was trained
    on. ``output`` appears whole or not at all. Raises InvalidInputError with the row and column
    that does not fit the model. These predictions are not logged.

    >>> mlkit.predict(project, "churn", "customers.csv", "answers.csv").rows
    3
    """
    from pathlib import Path

    from mlkit.flows import predict as batch

    return batch.predict(project, model, Path(file), output=Path(output), version=version)


def check_drift(project: Project, model: str) -> DriftChecked:
    """Compare what the champion was asked with what it was trained on, and record the report.

    Drift opens an alert, its end resolves it. ``verdict`` and ``summary`` say what was found,
    ``drifted`` names the columns, the worst first. Raises NotFoundError without a champion.

    >>> mlkit.check_drift(project, "churn").verdict
    'insufficient_data'
    """
    from mlkit.flows.monitoring import monitor

    return monitor.check_drift(project, model)


def check_performance(project: Project, model: str) -> PerformanceChecked:
    """Compare what the champion answered with what really happened, and record the report.

    A loss above the one of training opens an alert, its end resolves it. Without enough actual
    values the loss is estimated. Raises NotFoundError without a champion.

    >>> mlkit.check_performance(project, "churn").verdict
    'insufficient_data'
    """
    from mlkit.flows.monitoring import monitor

    return monitor.check_performance(project, model)


def for_each_champion(project: Project, act: Callable[[str], str]) -> str:
    """Call ``act`` with the name of every model that has a champion, and join what it returns.

    A model that fails does not keep the others from their turn: MlkitError is raised at the end,
    with all that was said.

    >>> mlkit.for_each_champion(project, lambda model: mlkit.check_drift(project, model).verdict)
    'churn: insufficient_data'
    """
    from mlkit.flows.registry import champions

    return champions.each(project, act)


def materialize(project: Project, views: Sequence[str] = ()) -> list[Materialized]:
    """Bring the online values of feature views up to date, of all views without any named.

    Readers see the old values of a view or its new ones. Raises InvalidInputError for a view that
    cannot be computed, after all others had their turn.

    >>> mlkit.materialize(project)
    []
    """
    from mlkit.flows.features import declarations

    if not views and not declarations.exists(project):
        return []
    from mlkit.flows.features import materialize as online

    return online.materialize(project, views)


def get_features(project: Project, view: str, entities: Sequence[str]) -> list[Got]:
    """Return the online values of a view for these entities, as serving would be given them.

    Raises NotFoundError for a view that ``features.py`` does not declare, and ConflictError before
    it was materialized.
    """
    from mlkit.flows.features import catalog

    return catalog.get(project, view, entities)


def prune(project: Project) -> str:
    """Move old predictions into Parquet files, and delete what the settings ``*.keep`` say.

    Returns one line about what was done.
    """
    from mlkit.flows.log import logs

    return logs.prune(project)


def create_backup(project: Project, file: str | PathLike[str] | None = None) -> Created:
    """Write the whole project into one file: ``file``, or one with its date in ``backups/``.

    Servers and jobs go on meanwhile. Raises ConflictError if ``file`` exists, and DamagedError if
    the project is not sound.

    >>> mlkit.create_backup(project, "churn.mlkit.tar").file.name
    'churn.mlkit.tar'
    """
    from pathlib import Path

    from mlkit.flows.operations import backup

    return backup.create(project, None if file is None else Path(file))


def rotate_backups(project: Project) -> str:
    """Write a backup into ``backups/`` and delete all but the newest ``backup.keep``.

    Returns one line about what was done.
    """
    from mlkit.flows.operations import backup

    return backup.rotate(project)


def process_alerts(project: Project) -> str:
    """Notice jobs that are late, escalate alerts, end snoozes, and send what is due.

    Returns one line about what was done.
    """
    from mlkit.flows.operations import upkeep
    from mlkit.scheduling import lateness

    return f"{lateness.watch(project)}; {upkeep.process(project)}"
