"""Train a version of a model: material, candidate, verdict, and at the very end its row."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from mlkit import names
from mlkit.errors import InvalidInputError
from mlkit.flows.data import ingest, version_files
from mlkit.flows.registry import deploy, origin
from mlkit.flows.registry.deploy import Deployed
from mlkit.flows.training import candidate as candidates
from mlkit.flows.training import estimate_training, judgement, material, order
from mlkit.flows.training.candidate import Candidate
from mlkit.flows.training.material import Material
from mlkit.flows.training.order import Order
from mlkit.progress import Progress, silent
from mlkit.project import Project, Session
from mlkit.steps.drift import reference, times
from mlkit.steps.inputs import prediction_columns
from mlkit.steps.inputs.answers import Label, Predictions
from mlkit.steps.inputs.columns import Task
from mlkit.steps.performance import metrics, slices
from mlkit.steps.performance.slices import Judged, Sheet
from mlkit.steps.predictors import artifacts, threads
from mlkit.steps.training import estimators
from mlkit.steps.training.gate import Verdict
from mlkit.steps.training.target import Wish
from mlkit.store import audit, deployments, log_view, registry
from mlkit.store.datasets import DatasetVersion
from mlkit.store.disk import blobs, failpoints
from mlkit.store.registry import Model, ModelVersion


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """A registered version, accepted or not."""

    model: str
    version: int
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    verdict: Verdict
    promoted: bool
    warnings: tuple[str, ...]
    estimator: str
    task: Task
    target: str
    dataset: str
    ladder: tuple[dict[str, Any], ...]


class _Files(msgspec.Struct, frozen=True):
    """The files of a version, safe on disk."""

    artifact: str
    reference: str
    estimation: str | None


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
    progress: Progress | None = None,
) -> Trained:
    """Train on the dataset ``data`` (``name`` or ``name@number``), judge, register.

    Nothing is learned from the columns ``ignore``, and the model does not ask for them. A candidate
    that the gate refuses is registered with its verdict but never promoted here.
    Raises MlkitError and leaves nothing behind if there is nothing to register.
    """
    report = progress or silent
    names.check("model", model)
    with version_files.used(project):
        wanted = order.look_up(project, model, data, task, half_life)
        wanted = wanted._replace(ignore=tuple(dict.fromkeys(ignore)))
        report(f"reading {wanted.dataset.reference}")
        rows = material.gather(project, wanted)
        estimators.check(estimator, rows.schema.task)
        with threads.fit_for(len(rows.table)):
            choice = candidates.choose(project, rows, estimator, tune, report)
            report(f"fitting {choice.name}")
            made = candidates.fit(project, rows, choice)
            files = _store(project, rows, made, wanted.dataset.dataset.time_column)
            report("asking the gate")
            artifact = project.artifacts.read(files.artifact)
            verdict = judgement.judge(
                project, rows, made, artifact=artifact, champion=wanted.champion
            )
        recipe = {"estimator": estimator, "tune": tune, "task": rows.schema.task,
                  "dataset": wanted.dataset.dataset.name, **_unusual(wanted, rows)}  # fmt: skip
        row = _version(project, wanted, rows, made, files, verdict, recipe)
        number, done, warnings = _register(project, wanted, row, promote=promote, reason=reason)
    if done is not None:
        deploy.settle(project, done)
    return Trained(
        model=model,
        version=number,
        metrics=made.metrics,
        intervals=made.intervals,
        verdict=verdict,
        promoted=done is not None,
        warnings=tuple(warnings),
        estimator=choice.name,
        task=rows.schema.task,
        target=rows.schema.target,
        dataset=wanted.dataset.reference,
        ladder=tuple(rung._asdict() for rung in choice.rungs),
    )


def _unusual(wanted: Order, rows: Material) -> dict[str, Any]:
    """Return the parts of the recipe that most do without."""
    weighed = {} if wanted.half_life == "off" else {"half_life": wanted.half_life}
    left_out = {"ignore": list(wanted.ignore), "constant": list(rows.constant)}
    return {**weighed, **{why: names for why, names in left_out.items() if names}}


def _store(project: Project, rows: Material, made: Candidate, time: str | None) -> _Files:
    try:
        artifact = artifacts.dumps(made.predictor, made.choice.code)
    except Exception as error:
        # a user's estimator may hold anything
        raise InvalidInputError(
            f"the estimator '{made.choice.name}' cannot be saved: {error!r}"
        ) from error
    sha256 = project.artifacts.put(artifact)
    failpoints.reach("train.artifact")
    profile = project.references.put(
        reference.build(
            rows.schema,
            times.stamp(rows.in_order, time),
            {
                "answer": prediction_columns.table(rows.schema, *_listed(made.answers)),
                "target": prediction_columns.actuals(rows.schema, rows.holdout.actuals),
            },
            ordered=rows.ordered,
            span_s=rows.span_s,
        )
    )
    failpoints.reach("train.reference")
    return _Files(sha256, profile, estimate_training.learn(project, rows, made))


def _listed(answers: Predictions) -> tuple[list[Label], list[list[float]] | None]:
    probabilities = answers.probabilities
    return answers.values, None if probabilities is None else probabilities.tolist()


def _version(
    project: Project,
    wanted: Order,
    rows: Material,
    made: Candidate,
    files: _Files,
    verdict: Verdict,
    recipe: dict[str, Any],
) -> ModelVersion:
    """Return the row, complete but for its number and what follows from it."""
    return ModelVersion(
        artifact_sha256=files.artifact,
        reference_sha256=files.reference,
        estimation_sha256=files.estimation,
        input_schema=msgspec.to_builtins(rows.schema),
        estimator=made.choice.name,
        recipe=recipe,
        params=_params(made),
        metrics=made.metrics,
        intervals={name: list(limits) for name, limits in made.intervals.items()},
        slices=msgspec.to_builtins(_slices(rows, made)) if _is_judged(made) else None,
        holdout_rows=len(made.losses),
        warnings=[
            *rows.warnings,
            *origin.warnings(project.root, wanted.champion, made.choice.name),
        ],
        golden=made.golden,
        verdict=msgspec.to_builtins(verdict),
        dataset_version_id=wanted.dataset.id,
        parent_id=wanted.champion.id if wanted.champion else None,
        **origin.fields(
            project.root,
            made.choice.name,
            made.choice.code,
            not_kept=made.not_kept,
            featured=wanted.dataset.join is not None,
        ),
        seed=project.settings.train.seed,
        created_by=project.actor,
        created_at=project.now(),
    )


def _is_judged(made: Candidate) -> bool:
    """Tell whether every row of the holdout has a loss that can be averaged."""
    return bool(metrics.usable(made.losses).all())


def _slices(rows: Material, made: Candidate) -> Sheet:
    holdout = Judged(
        table=rows.table.take(rows.split.holdout),
        answers=made.answers,
        actuals=rows.holdout.actuals,
        losses=made.losses,
        ordered=rows.ordered,
    )
    return slices.of_holdout(rows.schema, made.metric, holdout)


def _register(
    project: Project, wanted: Order, row: ModelVersion, *, promote: bool, reason: str
) -> tuple[int, Deployed | None, list[str]]:
    """Write the version and, if it may be, its promotion in one transaction."""
    key = project.key
    accepted = bool(row.verdict["accepted"])
    with project.write() as s:
        ingest.refuse_collected(s.get_one(DatasetVersion, wanted.dataset.id))
        model = _model(s, wanted.model, row)
        registry.lock(s, model)
        row.number = registry.next_number(s, model)
        row.signature = blobs.sign(key, wanted.model, row.number, row.artifact_sha256)
        current = deployments.champion(s, model)
        judged = (current.id if current else None) == wanted.champion_deployment
        if promote and accepted and not judged:
            row.warnings = [
                *row.warnings,
                "champion_changed: another version became champion during the training, so this "
                "one was not promoted",
            ]
        row.model = model
        s.add(row)
        s.flush()
        log_view.refresh(s, model)
        _audit(s, project, wanted, row)
        done = None
        if promote and accepted and judged:
            done = deploy.start(
                s, project, row, action="promote", reason=reason or row.verdict["reason"],
                evidence={"verdict": row.verdict},
            )  # fmt: skip
        failpoints.reach("train.version")
        return row.number, done, row.warnings


def _model(s: Session, name: str, row: ModelVersion) -> Model:
    found = registry.find_model(s, name)
    if found is None:
        schema = row.input_schema
        found = Model(
            name=name, task=schema["task"], target=schema["target"], created_at=row.created_at
        )
        s.add(found)
        s.flush()
    return found


def _audit(s: Session, project: Project, wanted: Order, row: ModelVersion) -> None:
    audit.record(
        s,
        row.created_at,
        actor=project.actor,
        action="train",
        subject=f"{wanted.model} v{row.number}",
        details={
            "dataset": wanted.dataset.reference,
            "artifact": row.artifact_sha256,
            "accepted": row.verdict["accepted"],
            "reason": row.verdict["reason"],
        },
    )


def _params(made: Candidate) -> dict[str, Any]:
    """Return the estimator's parameters as JSON values, and the ladder that led to it."""
    estimator = made.predictor.estimator
    found = estimator.get_params() if hasattr(estimator, "get_params") else {}
    return {
        "estimator": {name: _plain(value) for name, value in found.items()},
        "ladder": [rung._asdict() for rung in made.choice.rungs],
        "backend": msgspec.to_builtins(made.predictor.backend),
    }


def _plain(value: object) -> object:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return repr(value)[:200]
    return value
