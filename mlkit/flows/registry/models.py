"""Read-only reports on the registry: models, versions, and the difference of two versions."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from mlkit.flows.registry import input_schema, own_code
from mlkit.project import Project
from mlkit.store import deployments, registry
from mlkit.store.deployments import Deployment
from mlkit.store.registry import Model, ModelVersion

_PRIMARY = ("mae", "log_loss", "error_rate")


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One line about a model, with the holdout metric of its champion.

    ``problem`` says why no champion is shown: its row was changed after recording.
    """

    model: str
    task: str
    target: str
    champion: int | None
    since: datetime | None
    versions: int
    metric: str | None
    value: float | None
    problem: str | None = None


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version as listed by ``model show``."""

    version: int
    estimator: str
    backend: dict[str, Any]
    dataset: str
    created_at: datetime
    created_by: str
    metric: str | None
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    holdout_rows: int
    accepted: bool
    reason: str
    warnings: list[str]
    parent: int | None
    artifact: str
    code_commit: str | None
    python: str
    packages: dict[str, str]
    seed: int
    code: dict[str, Any] | None


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A model with all its versions, newest first."""

    model: str
    task: str
    target: str
    champion: int | None
    versions: list[Version]


class Pair(msgspec.Struct, frozen=True):
    """One property of two versions, side by side."""

    name: str
    first: Any
    second: Any


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """Two versions: their metrics, and all other differences."""

    model: str
    first: int
    second: int
    metrics: list[Pair]
    differences: list[Pair]
    note: str


def summaries(project: Project) -> list[Summary]:
    """Return one line for each model."""
    with project.read() as s:
        damaged, models = deployments.damaged(s), registry.list_models(s)
        champions = {deployment.model_id: deployment for deployment in deployments.champions(s)}
        counts = registry.version_counts(s)
        return [
            _summary(model, champions.get(model.id), counts.get(model.id, 0), damaged)
            for model in models
        ]


def show(project: Project, name: str) -> Shown:
    """Return a model and its versions; raises NotFoundError."""
    with project.read() as s:
        model = registry.get_model(s, name)
        champion = deployments.champion(s, model)
        versions = registry.versions(s, model)
        numbers = {version.id: version.number for version in versions}
        return Shown(
            model=model.name,
            task=model.task,
            target=model.target,
            champion=champion.version.number if champion else None,
            versions=[_version(version, numbers) for version in reversed(versions)],
        )


def compare(project: Project, name: str, first: int, second: int) -> Compared:
    """Return how two versions of a model differ; raises NotFoundError."""
    with project.read() as s:
        model = registry.get_model(s, name)
        one, two = (registry.get_version(s, model, number) for number in (first, second))
        same = one.dataset_version_id == two.dataset_version_id
        left, right = _facts(one), _facts(two)
    names = list(dict.fromkeys([*left, *right]))
    note = "" if same else "the metrics are from different holdout rows: compare with care"
    return Compared(
        model=name,
        first=first,
        second=second,
        metrics=[
            Pair(key, one.metrics.get(key), two.metrics.get(key))
            for key in dict.fromkeys([*one.metrics, *two.metrics])
        ],
        differences=[
            Pair(key, left.get(key), right.get(key))
            for key in names
            if left.get(key) != right.get(key)
        ],
        note=note,
    )


def primary_metric(metrics: dict[str, float]) -> str | None:
    """Return the primary metric among those of a version.

    None if it could not be computed, because a holdout prediction was not finite.
    """
    return next((name for name in _PRIMARY if metrics.get(name) is not None), None)


def _summary(
    model: Model, champion: Deployment | None, versions: int, damaged: Mapping[str, str]
) -> Summary:
    metrics = champion.version.metrics if champion else {}
    metric = primary_metric(metrics) if champion else None
    return Summary(
        model=model.name,
        task=model.task,
        target=model.target,
        champion=champion.version.number if champion else None,
        since=champion.started_at if champion else None,
        versions=versions,
        metric=metric,
        value=metrics[metric] if metric else None,
        problem=damaged.get(model.name),
    )


def _version(row: ModelVersion, numbers: dict[int, int]) -> Version:
    return Version(
        version=row.number,
        estimator=row.estimator,
        backend=row.params.get("backend") or {},
        dataset=row.dataset_version.reference,
        created_at=row.created_at,
        created_by=row.created_by,
        metric=primary_metric(row.metrics),
        metrics=row.metrics,
        intervals=row.intervals,
        holdout_rows=row.holdout_rows,
        accepted=row.verdict.get("accepted", False),
        reason=row.verdict.get("reason", ""),
        warnings=row.warnings,
        parent=numbers.get(row.parent_id) if row.parent_id else None,
        artifact=row.artifact_sha256,
        code_commit=row.code_commit,
        python=row.python,
        packages=row.packages,
        seed=row.seed,
        code=row.code,
    )


def _facts(row: ModelVersion) -> dict[str, Any]:
    """Return the properties to compare, by display name."""
    facts: dict[str, Any] = {
        "estimator": row.estimator,
        "dataset": row.dataset_version.reference,
        "rows": row.dataset_version.rows,
        "verdict": row.verdict.get("reason", ""),
        "seed": row.seed,
        "code commit": row.code_commit,
        "python": row.python,
    }
    files = own_code.recorded(row.code).files
    facts |= {f"file {path}": f"sha256 {sha256[:12]}" for path, sha256 in files.items()}
    facts |= {f"library {name}": version for name, version in row.packages.items()}
    facts |= {f"parameter {name}": value for name, value in row.params.get("estimator", {}).items()}
    for column in input_schema.of(row).columns:
        facts[f"column {column.name}"] = column.kind
    return facts
