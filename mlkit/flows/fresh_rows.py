"""Find rows that a model has not learned from yet, and make them a dataset version."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from mlkit.errors import ConflictError, InvalidInputError
from mlkit.flows import deploy, ingest, joining, logs, unknown_labels
from mlkit.flows.versioning import Added, Origin
from mlkit.project import Project
from mlkit.settings import duration
from mlkit.store import registry
from mlkit.store.datasets import Dataset
from mlkit.store.registry import ModelVersion


class Fresh(NamedTuple):
    """The dataset version with the new rows as ``name@number``, or why there is none."""

    dataset: str | None
    rows: int
    reason: str
    warnings: tuple[str, ...] = ()


def gather(
    project: Project,
    champion: ModelVersion,
    data: Literal["log", "source"],
    progress: Callable[[str], None] | None = None,
) -> Fresh:
    """Make a dataset version of what is new in the log or the source; raises like ``ingest``."""
    report = progress or _silent
    if data == "source":
        return _from_source(project, champion, report)
    report("reading the log")
    return _from_log(project, champion)


def _silent(_message: str) -> None:
    """Report nothing."""


def _from_source(project: Project, champion: ModelVersion, report: Callable[[str], None]) -> Fresh:
    name = champion.dataset_version.dataset.name
    joined = joining.recipe(project, name)
    if joined is not None:
        added = joining.join(project, name, joined, progress=report)
        reference = f"{name}@{added.version}"
        return _fresh(project, champion, added, f"{reference} is joined of what is newest")
    settings = project.settings.datasets.get(name)
    if settings is None or not settings.source:
        raise InvalidInputError(
            f"dataset '{name}' has no source to read again; write into mlkit.toml: "
            f'[datasets."{name}"] source = "FILE"'
        )
    file = project.root / Path(settings.source).expanduser()
    added = ingest.add(project, name, file, progress=report)
    return _fresh(project, champion, added, f"{file} has not changed since {name}@{added.version}")


def _from_log(project: Project, champion: ModelVersion) -> Fresh:
    model, dataset = champion.model.name, champion.dataset_version.dataset
    window = project.settings.model(model).retrain_window or project.settings.retrain.window
    start, end = project.now() - duration(window), project.now()
    logged = logs.read(project, model, start=start, end=end, actuals="required")
    logged, unknown = unknown_labels.part(deploy.input_schema(champion), logged)
    warnings = _left_out(dataset.name, unknown)
    least = project.settings.train.min_rows
    if logged.num_rows < least:
        reason = (
            f"the log of the last {window} has {logged.num_rows} rows with an actual, "
            f"{least} are needed"
        )
        return Fresh(None, logged.num_rows, reason, warnings)
    like = ingest.load_table(project, champion.dataset_version.sha256).schema
    table = as_dataset(logged, dataset, like)
    nothing = f"the log has no row with an actual that {model} has not learned from"
    if _is_tail(table, _last_learned(project, champion)):
        return Fresh(None, table.num_rows, nothing, warnings)
    origin = Origin(
        source=f"log of {model}, {_day(start)} to {_day(end)}",
        parents=(champion.dataset_version.reference,),
        transformation={
            "kind": "log",
            "model": model,
            "start": start.isoformat(),
            "end": end.isoformat(),
        },
    )
    added = ingest.add_table(project, dataset.name, table, origin=origin)
    return _fresh(project, champion, added, nothing)._replace(warnings=warnings)


def _left_out(dataset: str, unknown: Mapping[str, int]) -> tuple[str, ...]:
    """Return what to say of rows whose label the champion does not know."""
    if not unknown:
        return ()
    how = f"; they are left out: to learn a new class, add rows with it (mlkit data add {dataset})"
    return (unknown_labels.warning(unknown) + how,)


def as_dataset(logged: pa.Table, dataset: Dataset, like: pa.Schema) -> pa.Table:
    """Return logged rows with the columns and types of a dataset: features, roles and target.

    The time of a row is when it was asked for; a row without an entity is an entity of its own.
    Raises ConflictError if the dataset's time is no point in time.
    """
    entity = pc.coalesce(logged.column("_entity"), logged.column("_id"))
    logged = logged.set_column(logged.schema.get_field_index("_entity"), "_entity", entity)
    sources = {dataset.target: "_actual", dataset.entity_column: "_entity"}
    if dataset.time_column is not None:
        if not pa.types.is_timestamp(like.field(dataset.time_column).type):
            raise ConflictError(
                f"the time column '{dataset.time_column}' of dataset '{dataset.name}' holds no "
                "points in time, so the log cannot fill it; retrain with --data source"
            )
        sources[dataset.time_column] = "_served_at"
    present = set(logged.column_names)
    names = [name for name in like.names if sources.get(name, name) in present]
    columns = [_cast(logged.column(sources.get(name, name)), like.field(name)) for name in names]
    return pa.table(dict(zip(names, columns, strict=True)))


def _cast(values: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    """Return ``values`` in the dataset's type if nothing is lost; else its rules will object."""
    try:
        return values.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # the rules name value and row
        return values


def _fresh(project: Project, champion: ModelVersion, added: Added, otherwise: str) -> Fresh:
    """Return the version, unless an earlier one of the model was trained on it."""
    with project.read() as s:
        model = registry.get_model(s, champion.model.name)
        learned = {version.dataset_version.reference for version in model.versions}
    reference = f"{added.dataset}@{added.version}"
    if reference in learned:
        return Fresh(None, added.rows, otherwise)
    return Fresh(reference, added.rows, "")


def _last_learned(project: Project, champion: ModelVersion) -> pa.Table:
    """Return the rows of the newest dataset version that any version of the model learned from."""
    with project.read() as s:
        model = registry.get_model(s, champion.model.name)
        dataset_id = champion.dataset_version.dataset_id
        learned = [v.dataset_version for v in model.versions]
        newest = max(
            (version for version in learned if version.dataset_id == dataset_id),
            key=lambda version: version.number,
        )
    return ingest.load_table(project, newest.sha256)


def _is_tail(table: pa.Table, whole: pa.Table) -> bool:
    """Tell whether ``table`` is the end of ``whole``: then only old rows left the window."""
    missing = whole.num_rows - table.num_rows
    return missing >= 0 and bool(whole.slice(missing).equals(table))


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"
