"""Promote a version to champion, roll back, and load champions for serving."""

import logging
import warnings
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mlkit.errors import CheckFailedError, ConflictError, DamagedError, Stopped
from mlkit.flows.registry import origin, own_code
from mlkit.flows.registry.input_schema import of as schema_of
from mlkit.project import Project, Session
from mlkit.steps.inputs.columns import InputSchema
from mlkit.store import audit, deployments, registry
from mlkit.store.deployments import Deployment
from mlkit.store.disk import blobs, failpoints
from mlkit.store.registry import ModelVersion

if TYPE_CHECKING:
    from mlkit.steps.predictors.predictor import Predictor

CHAMPION = "champion"

log = logging.getLogger("mlkit.models")


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A version ready to predict: its digest, signature and golden rows were checked."""

    model: str
    version: int
    version_id: int
    model_id: int
    role: str
    schema: InputSchema
    predictor: "Predictor"
    rules: str


class Deployed(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a promotion or rollback."""

    model: str
    version: int
    previous: int | None
    action: str
    reason: str


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a model's deployment history."""

    version: int
    role: str
    action: str
    started_at: datetime
    ended_at: datetime | None
    actor: str
    reason: str
    evidence: dict[str, Any]


def promote(
    project: Project,
    model: str,
    number: int,
    *,
    reason: str = "",
    force: bool = False,
) -> Deployed:
    """Make version ``number`` the champion, after loading it and checking its golden rows.

    Raises CheckFailedError if the gate refused it (unless ``force``), ConflictError if it is
    already the champion, DamagedError if it cannot be loaded.
    """
    version = find_version(project, model, number)
    if not (version.verdict.get("accepted") or force):
        raise CheckFailedError(
            f"the gate refused {model} v{number}: {version.verdict.get('reason', '')} "
            "(promote it all the same with --force)",
            {"verdict": version.verdict},
        )
    load_version(project, version)
    proof = {"verdict": version.verdict, "forced": force}
    with project.write() as s:
        done = start(
            s, project, version, action="promote", reason=reason or "promoted", evidence=proof
        )
    settle(project, done)
    return done


def rollback(project: Project, model: str, *, to: int | None = None, reason: str = "") -> Deployed:
    """Make an earlier champion the champion again: the one before, or version ``to``.

    Rolling back twice goes back two champions. Raises ConflictError if there is none.
    """
    with project.read() as s:
        row = registry.get_model(s, model)
        past = deployments.of_model(s, row)
        number = to if to is not None else _number_before(model, past)
        if number not in {deployment.version.number for deployment in past}:
            registry.get_version(s, row, number)
            raise ConflictError(
                f"{model} v{number} was never the champion, so there is nothing to roll back to "
                f"(see: mlkit model promote {model} {number})"
            )
        version = registry.get_version(s, row, number)
    load_version(project, version)
    with project.write() as s:
        past = deployments.of_model(s, version.model)
        if to is None and _number_before(model, past) != number:
            raise ConflictError(f"the champion of {model} changed meanwhile; look and try again")
        done = start(
            s, project, version, action="rollback", reason=reason or "rolled back", evidence={}
        )
    settle(project, done)
    return done


def start(
    s: Session,
    project: Project,
    version: ModelVersion,
    *,
    action: str,
    reason: str,
    evidence: Mapping[str, Any],
) -> Deployed:
    """Write the deployment and its audit event in the caller's transaction."""
    registry.lock(s, version.model)
    current = deployments.champion(s, version.model)
    if current is not None and current.model_version_id == version.id:
        raise ConflictError(f"{version.label()} is the champion already")
    now = project.now()
    done = Deployed(
        model=version.model.name,
        version=version.number,
        previous=current.version.number if current else None,
        action=action,
        reason=reason,
    )
    deployments.start(
        s,
        Deployment(
            model_id=version.model_id,
            model_version_id=version.id,
            role=CHAMPION,
            started_at=now,
            action=action,
            actor=project.actor,
            reason=reason,
            evidence=dict(evidence),
        ),
    )
    audit.record(
        s,
        now,
        actor=project.actor,
        action=action,
        subject=version.label(),
        details={"previous": done.previous, "reason": reason},
    )
    failpoints.reach("deploy.written")
    return done


def settle(project: Project, done: Deployed) -> None:
    """Resolve the alerts about the replaced champion."""
    from mlkit.flows.alerts import alerting

    failpoints.reach("deploy.committed")
    alerting.resolve_model(
        project,
        done.model,
        ("drift", "performance", "estimate"),
        f"v{done.version} took over ({done.action})",
    )


def history(project: Project, model: str) -> list[Event]:
    """Return the deployments of a model (who, which version, role, when, why), newest first."""
    with project.read() as s:
        past = deployments.of_model(s, registry.get_model(s, model))
        return [_event(deployment) for deployment in reversed(past)]


def champions(project: Project) -> list[ModelVersion]:
    """Return the champion of each model that has one."""
    with project.read() as s:
        return [deployment.version for deployment in deployments.champions(s)]


def find_version(project: Project, model: str, number: int | None = None) -> ModelVersion:
    """Return version ``number``, or the champion if None; raises NotFoundError, ConflictError."""
    with project.read() as s:
        row = registry.get_model(s, model)
        if number is not None:
            return registry.get_version(s, row, number)
        current = deployments.champion(s, row)
        if current is None:
            raise ConflictError(f"{model} has no champion yet (see: mlkit model promote {model} V)")
        return current.version


def load_version(project: Project, version: ModelVersion) -> Loaded:
    """Return the version ready to predict.

    The file is read once. Raises DamagedError unless digest, signature and, once loaded, the
    predictions for the golden rows are the recorded ones.
    """
    label = version.label()
    content = project.artifacts.read(version.artifact_sha256)
    fields = (version.model.name, version.number, version.artifact_sha256)
    if not blobs.verify(project.key, version.signature, *fields):
        raise DamagedError(
            f"{label} was not signed with this project's key, so it is not loaded; "
            "restore a backup (see: mlkit backup restore)"
        )
    loaded = _unpickle(project.root, label, content)
    if not _reproduces(label, loaded, version):
        raise DamagedError(
            f"{label} does not give its recorded answers any more; "
            f"{origin.explain(project.root, version)}"
        )
    if origin.is_without_code(version):
        log.warning("%s", origin.without_code(version))
    return Loaded(
        model=version.model.name,
        version=version.number,
        version_id=version.id,
        model_id=version.model_id,
        role=CHAMPION,
        schema=loaded.schema,
        predictor=loaded,
        rules=version.dataset_version.schema_yaml,
    )


def input_schema(version: ModelVersion) -> InputSchema:
    """Return the input schema of a version without loading the model."""
    return schema_of(version)


def _unpickle(root: Path, label: str, content: bytes) -> "Predictor":
    from mlkit.steps.predictors import artifacts

    try:
        with own_code.importable(root), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # another library version: the golden rows decide
            return artifacts.loads(content, root)
    except Stopped:
        raise
    except (Exception, SystemExit) as error:  # unpickling runs any library's code
        raise DamagedError(
            f"{label} cannot be loaded with the installed libraries: {error!r} (see: mlkit doctor)"
        ) from error


def _reproduces(label: str, loaded: "Predictor", version: ModelVersion) -> bool:
    from mlkit.steps.predictors import artifacts

    try:
        return artifacts.reproduces(loaded, version.golden)
    except Exception as error:  # user code, and possibly an edited row
        raise DamagedError(
            f"{label} cannot be asked its golden rows: {error!r}; either they are not those that "
            "were recorded (restore a backup, see: mlkit backup restore), or its estimator fails"
        ) from error


def _number_before(model: str, past: list[Deployment]) -> int:
    """Return the champion before the present one: promotions push to a stack, rollbacks pop."""
    stack: list[int] = []
    for deployment in past:
        number = deployment.version.number
        if deployment.action == "rollback" and number in stack:
            del stack[stack.index(number) :]
        stack.append(number)
    if len(stack) < 2:
        raise ConflictError(
            f"{model} has no earlier champion to roll back to (see: mlkit model history {model})"
        )
    return stack[-2]


def _event(deployment: Deployment) -> Event:
    return Event(
        version=deployment.version.number,
        role=deployment.role,
        action=deployment.action,
        started_at=deployment.started_at,
        ended_at=deployment.ended_at,
        actor=deployment.actor,
        reason=deployment.reason,
        evidence=deployment.evidence,
    )
