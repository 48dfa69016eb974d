"""Ask the gate about a candidate: against the champion on the same newest rows, or the dummy."""

import msgspec
import numpy as np

from mlkit.errors import InvalidInputError, MlkitError
from mlkit.flows.registry import deploy, own_code
from mlkit.flows.training.candidate import Candidate
from mlkit.flows.training.material import Material
from mlkit.project import Project
from mlkit.steps.inputs import encode, schema_inference, unanswered
from mlkit.steps.inputs.answers import Predictions
from mlkit.steps.inputs.columns import InputSchema
from mlkit.steps.performance import metrics
from mlkit.steps.predictors import artifacts, rehearsal
from mlkit.steps.predictors.predictor import Predictor
from mlkit.steps.training import estimators, fitting, gate
from mlkit.steps.training.estimators import Recipe
from mlkit.steps.training.gate import Comparison, Verdict
from mlkit.store.registry import ModelVersion


def judge(
    project: Project,
    material: Material,
    candidate: Candidate,
    *,
    artifact: bytes,
    champion: ModelVersion | None,
) -> Verdict:
    """Return the verdict about the candidate whose bytes, read back from disk, are ``artifact``."""
    limits = project.settings.gate
    label = f"v{champion.number}" if champion else ""
    checks = [
        gate.golden(reproduced=_reproduced(project, artifact, candidate)),
        gate.served(
            rehearsal.trouble(
                candidate.predictor,
                candidate.golden,
                max_chars=project.settings.server.max_text_chars,
            )
        ),
        gate.latency(candidate.latency_ms, limits.max_latency_ms),
        gate.schema(material.schema, deploy.input_schema(champion) if champion else None, label),
        gate.ladder(candidate.choice.explanation),
    ]
    gaps = _gaps(candidate)
    if gaps:
        checks.append(gate.answers(gaps, len(candidate.losses)))
        return gate.judge(checks)
    comparison = None
    if champion is not None:
        try:
            comparison = _against_champion(project, material, candidate, champion)
        except MlkitError as error:
            checks.append(gate.unanswered(label, str(error)))
    if comparison is None and candidate.choice.name == "dummy":
        checks.append(gate.sufficient(candidate.choice.explanation))
        return gate.judge(checks)
    versus_champion = comparison is not None
    comparison = comparison or _against_dummy(project, material, candidate)
    checks.append(gate.better(comparison, min_rows=limits.min_rows, champion=versus_champion))
    return gate.judge(checks, comparison)


def _gaps(candidate: Candidate) -> int:
    """Return how many rows of the holdout the candidate has no finite answer or loss for."""
    gaps = ~metrics.usable(candidate.losses)
    gaps[unanswered.places(candidate.answers)] = True
    return int(gaps.sum())


def _reproduced(project: Project, artifact: bytes, candidate: Candidate) -> bool:
    try:
        with own_code.importable(project.root):
            return artifacts.reproduces(artifacts.loads(artifact, project.root), candidate.golden)
    except Exception:  # noqa: BLE001  # unpickling runs any library's code; whatever it raises is a no
        return False


def _against_champion(
    project: Project, material: Material, candidate: Candidate, champion: ModelVersion
) -> Comparison:
    """Raise MlkitError if the champion cannot be loaded or cannot answer these rows."""
    loaded = deploy.load_version(project, champion)
    holdout = material.table.take(material.split.holdout)
    matrix = encode.matrix_of_table(schema_inference.relaxed(loaded.schema), holdout)
    answers = unanswered.with_gaps(loaded.predictor.predict, loaded.schema, matrix)
    return _compare(project, material, candidate, f"v{champion.number}", answers, loaded.schema)


def _against_dummy(project: Project, material: Material, candidate: Candidate) -> Comparison:
    recipe = Recipe(material.schema, project.settings.train.seed)
    dummy = fitting.fit(
        "dummy", lambda: estimators.build("dummy", recipe), material.training, [], material.schema
    )
    answers = Predictor(material.schema, dummy).predict(material.holdout.matrix)
    return _compare(project, material, candidate, "the dummy", answers, material.schema)


def _compare(
    project: Project,
    material: Material,
    candidate: Candidate,
    rival: str,
    answers: Predictions,
    schema: InputSchema,
) -> Comparison:
    """Compare by the primary metric that both have: without probabilities, by wrong labels.

    Raises InvalidInputError if the rival has no finite answer to most of the rows.
    """
    actuals = material.holdout.actuals
    metric, losses = candidate.metric, candidate.losses
    if metrics.primary(answers, task=schema.task) != metric:
        metric = "error_rate"
        losses = metrics.losses(metric, candidate.answers, actuals)
    others = metrics.losses(metric, answers, actuals, schema.classes)
    others[unanswered.places(answers)] = np.inf
    usable = metrics.usable(others)
    gaps, losses, others = int((~usable).sum()), losses[usable], others[usable]
    if gaps > len(losses):
        raise InvalidInputError(f"no finite answer to {gaps} of {gaps + len(losses)} rows")
    resampling = material.resampling(project)
    interval = metrics.mean_interval(losses - others, resampling)
    found = gate.compare(rival, metric, losses, others, interval)
    typical = gate.typical(losses - others, resampling)
    return msgspec.structs.replace(found, unanswered=gaps, typical=typical)
