"""Close the loop: new rows, a candidate by the champion's recipe, promoted only if better."""

from typing import Any

import msgspec

from mlkit.errors import CheckFailedError, ConflictError
from mlkit.flows.data import version_files
from mlkit.flows.training import fresh_rows
from mlkit.flows.training.fresh_rows import Data, Fresh
from mlkit.progress import Progress
from mlkit.project import Project
from mlkit.store import alerts, deployments, registry
from mlkit.store.disk import failpoints
from mlkit.store.registry import ModelVersion

CAUSES = ("drift", "performance")


class Retrained(msgspec.Struct, frozen=True, kw_only=True):
    """What a retraining led to; without enough new rows there is no version, only a reason."""

    model: str
    version: int | None
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    verdict: dict[str, Any]
    promoted: bool
    warnings: tuple[str, ...]
    estimator: str
    dataset: str
    rows: int
    new: bool
    summary: str


def retrain(
    project: Project,
    model: str,
    *,
    data: Data | None = None,
    reason: str = "",
    progress: Progress | None = None,
) -> Retrained:
    """Train on the newest rows as the champion was trained, and promote what the gate accepts.

    The rows come from the prediction log, joined with actuals, from the dataset's source, or from
    both (``data``, else the setting ``retrain.data``). Raises MlkitError if there is no champion,
    or CheckFailedError if the rows break the dataset's rules.
    """
    busy = f"model '{model}' is being retrained already; try again when that has ended"
    with project.lock(f"retrain-{model}", busy=busy), version_files.used(project):
        champion = _champion(project, model)
        fresh = fresh_rows.gather(project, champion, _data(project, model, data), progress)
        if fresh.dataset is None:
            return _unchanged(model, champion, fresh)
        failpoints.reach("retrain.data")
        return _train(project, champion, fresh, reason, progress)


def due(project: Project, model: str) -> str | None:
    """Return why ``model`` should be retrained now by the setting ``retrain.on``, else None."""
    on = project.settings.model(model).retrain_on or project.settings.retrain.on
    if on == "always":
        return "retrain.on is always"
    if on == "never":
        return None
    with project.read() as s:
        causes = [alert.summary for alert in alerts.ongoing(s, model=model, kinds=CAUSES)]
    return "; ".join(causes) or None


def retrain_if_due(project: Project, model: str) -> str:
    """Retrain ``model`` if it is due and return one line about it.

    Rows that the dataset's rules refuse are a failure: somebody has to look.
    """
    why = due(project, model)
    if why is None:
        return "not due"
    return retrain(project, model, reason=why).summary


def require_accepted(done: Retrained) -> None:
    """Raise CheckFailedError if the gate refused the candidate."""
    if done.version is not None and not done.verdict["accepted"]:
        raise CheckFailedError(done.summary, msgspec.to_builtins(done))


def _champion(project: Project, model: str) -> ModelVersion:
    with project.read() as s:
        deployment = deployments.champion(s, registry.get_model(s, model))
    if deployment is None:
        raise ConflictError(
            f"model '{model}' has no champion whose recipe could be repeated; "
            f"promote a version first (see: mlkit model show {model})"
        )
    return deployment.version


def _data(project: Project, model: str, data: Data | None) -> Data:
    return data or project.settings.model(model).retrain_data or project.settings.retrain.data


def _half_life(project: Project, champion: ModelVersion) -> str:
    """Return the half-life that the settings name, else the one that the champion has."""
    own = project.settings.model(champion.model.name).retrain_half_life
    chosen = own or project.settings.retrain.half_life
    return (
        str(champion.recipe.get("half_life", "off")) if own is None and chosen == "off" else chosen
    )


def _unchanged(model: str, champion: ModelVersion, fresh: Fresh) -> Retrained:
    summary = f"kept v{champion.number}: {fresh.reason}"
    return Retrained(
        model=model,
        version=None,
        metrics={},
        intervals={},
        verdict={"accepted": False, "reason": fresh.reason, "checks": []},
        promoted=False,
        warnings=fresh.warnings,
        estimator=champion.estimator,
        dataset=champion.dataset_version.reference,
        rows=fresh.rows,
        new=False,
        summary=summary,
    )


def _train(
    project: Project,
    champion: ModelVersion,
    fresh: Fresh,
    reason: str,
    progress: Progress | None,
) -> Retrained:
    from mlkit.flows.training import (
        train,  # scikit-learn, which a look at "nothing new" does without
    )

    recipe = champion.recipe
    trained = train.train(
        project,
        champion.model.name,
        str(fresh.dataset),
        task=recipe["task"],
        estimator=recipe["estimator"],
        tune=recipe["tune"],
        half_life=_half_life(project, champion),
        ignore=recipe.get("ignore", ()),
        promote=project.settings.retrain.promote,
        reason=reason,
        progress=progress,
    )
    verdict: dict[str, Any] = msgspec.to_builtins(trained.verdict)
    return Retrained(
        model=trained.model,
        version=trained.version,
        metrics=trained.metrics,
        intervals=trained.intervals,
        verdict=verdict,
        promoted=trained.promoted,
        warnings=(*fresh.warnings, *trained.warnings),
        estimator=trained.estimator,
        dataset=trained.dataset,
        rows=fresh.rows,
        new=True,
        summary=_summary(champion, trained, verdict),
    )


def _summary(champion: ModelVersion, trained: Any, verdict: dict[str, Any]) -> str:
    kept = f"kept v{champion.number}: "
    reason: str = verdict["reason"]
    if trained.promoted:
        return f"promoted v{trained.version}: {reason}"
    if verdict["accepted"]:
        return f"{kept}v{trained.version} was accepted, but not promoted ({reason})"
    return kept + reason.removeprefix(kept)
