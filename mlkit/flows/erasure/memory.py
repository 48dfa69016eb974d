"""Remove values of erased subjects from rules, profiles, models, reports and messages.

Done before the rows are erased, because these show which values are theirs alone. A new file is
written first, then the row that names it; the old file is deleted with those of the versions.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import msgspec

from mlkit.flows.data import acceptance
from mlkit.flows.data.subjects import Subjects
from mlkit.flows.erasure import joins, log, values
from mlkit.flows.erasure.values import Learned
from mlkit.project import Project, Session
from mlkit.steps.drift import reference_file
from mlkit.steps.inputs.columns import InputSchema
from mlkit.steps.predictors import artifacts
from mlkit.steps.rules import forgetting, rule_edits
from mlkit.store import audit, baselines, datasets, digests, erasures, registry
from mlkit.store.baselines import Baseline
from mlkit.store.datasets import Dataset
from mlkit.store.disk import blobs, failpoints
from mlkit.store.registry import ModelVersion


def forget(project: Project, dataset: Dataset, erased: Subjects) -> None:
    """Remove the values that only ``erased`` had in ``dataset``, its joins, and their logs."""
    with project.read() as s:
        joined = {version.dataset.name for version, _ in joins.traces(s, dataset)}
    for name in sorted({dataset.name, *joined}):
        models = values.models_of(project, name)
        learned = values.of_dataset(project, name, dataset, erased, models)
        if learned.lost or learned.rows:
            _rules(project, name, learned)
            _models(project, models, learned)
            _messages(project, learned)
            failpoints.reach("erase.forgotten")


def _rules(project: Project, name: str, learned: Learned) -> None:
    busy = f"another process is adding to '{name}'; try again"
    with project.lock(f"data-{name}", busy=busy):
        file = acceptance.schema_file(project, name)
        if file.is_file():
            text = file.read_text()
            left = rule_edits.disallow(text, learned.lost, str(file))
            if left != text:
                blobs.write_durably(file, left.encode())
    with project.write() as s:
        for version in datasets.get(s, name).versions:
            version.schema_yaml = rule_edits.disallow(
                version.schema_yaml, learned.lost, version.reference
            )
            version.profile = _profile(version.profile, learned)


def _profile(profile: dict[str, Any], learned: Learned) -> dict[str, Any]:
    """Return a profile whose most frequent texts do not include the lost ones."""
    columns = [
        {**each, "top": [top for top in each["top"] if top[0] not in _short(learned, each["name"])]}
        if "top" in each
        else each
        for each in profile["columns"]
    ]
    return {**profile, "columns": columns}


def _short(learned: Learned, column: str) -> set[str]:
    return {text[:100] for text in learned.lost.get(column, ())}  # truncated as in a profile


def _models(project: Project, models: Sequence[str], learned: Learned) -> None:
    with project.read() as s:
        rows = [registry.get_model(s, name) for name in models]
        versions = [version for row in rows for version in registry.versions(s, row)]
        kept = [baseline for row in rows for baseline in baselines.of_model(s, row)]
    for version in versions:
        _version(project, version, learned)
    for baseline in kept:
        _baseline(project, baseline, learned)


def _version(project: Project, version: ModelVersion, learned: Learned) -> None:
    old = msgspec.convert(version.input_schema, InputSchema)
    schema = forgetting.from_schema(old, learned.lost)
    rows = learned.only_theirs(forgetting.compared(old))
    golden = forgetting.from_golden(version.golden, old, learned.lost, rows)
    reference = _reference(project, version.reference_sha256, learned)
    artifact = version.artifact_sha256
    if schema != old:
        artifact = project.artifacts.put(
            artifacts.with_schema(project.artifacts.read(artifact), schema)
        )
    if (schema, golden, reference) == (old, version.golden, version.reference_sha256):
        return
    fields = (version.model.name, version.number, artifact)
    with project.write() as s:
        row = s.get_one(ModelVersion, version.id)
        _audit(
            s, project, version.label(),
            {"artifact": row.artifact_sha256, "reference": row.reference_sha256,
             "artifact_now": artifact, "reference_now": reference},
        )  # fmt: skip
        row.input_schema, row.golden = msgspec.to_builtins(schema), golden
        row.artifact_sha256, row.signature = artifact, blobs.sign(project.key, *fields)
        row.reference_sha256 = reference


def _baseline(project: Project, baseline: Baseline, learned: Learned) -> None:
    sha256 = _reference(project, baseline.sha256, learned)
    if sha256 != baseline.sha256:
        with project.write() as s:
            row = s.get_one(Baseline, baseline.id)
            details = {"reference": row.sha256, "reference_now": sha256}
            _audit(s, project, f"{baseline.model.name} {baseline.name}", details)
            row.sha256 = sha256


def _reference(project: Project, sha256: str, learned: Learned) -> str:
    """Store a reference without the lost labels and return its digest, unchanged if it has none."""
    old = reference_file.load(project.references.read(sha256))
    new = forgetting.from_reference(old, learned.lost)
    if all(a is b or a.labels == b.labels for a, b in zip(old.columns, new.columns, strict=True)):
        return sha256
    return project.references.put(reference_file.dump(new))


def _messages(project: Project, learned: Learned) -> None:
    """Blank the lost texts in reports, alerts and job messages."""
    found = forgetting.pattern(forgetting.words(learned.lost))
    if found is None:
        return
    for kind in erasures.WORDS:
        with project.write() as s:
            erasures.reword(s, kind, partial(forgetting.from_tree, found=found))
    for file in sorted((project.log_dir / "jobs").glob("*/*.log")):
        text = file.read_text(errors="surrogateescape")
        if found.search(text):
            left = found.sub(forgetting.ERASED, text)
            blobs.write_durably(file, left.encode(errors="surrogateescape"))


def _audit(s: Session, project: Project, subject: str, details: dict[str, Any]) -> None:
    audit.record(
        s, project.now(), actor=project.actor, action=log.ACTION, subject=subject,
        details=details,
    )  # fmt: skip


def replaced(project: Project) -> Iterator[tuple[blobs.BlobStore, str]]:
    """Yield the files that an erasure has replaced and that no row names any more."""
    with project.read() as s:
        told = [event.details for event in audit.of_action(s, log.ACTION)]
        named = digests.named(s)
    for details in told:
        for word, store, names in (
            ("artifact", project.artifacts, named.artifacts),
            ("reference", project.references, named.references),
        ):
            if details.get(word) is not None and details[word] not in names:
                yield store, details[word]
