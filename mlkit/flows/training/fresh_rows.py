"""Find rows that a model has not learned from yet, and make them a dataset version."""

from datetime import datetime
from itertools import chain
from typing import Literal, NamedTuple

import pyarrow as pa
from msgspec import UNSET

from mlkit.flows import pull
from mlkit.flows.data import ingest, versioning
from mlkit.flows.data.versioning import Added, Origin
from mlkit.flows.log import evidence
from mlkit.flows.training import retraining_rows
from mlkit.flows.training.retraining_rows import Picked
from mlkit.progress import Progress, silent
from mlkit.project import Project
from mlkit.provenance import Log, Window
from mlkit.settings.table import duration
from mlkit.steps.tables import duplicates
from mlkit.store import datasets, registry
from mlkit.store.datasets import DatasetVersion
from mlkit.store.registry import ModelVersion

Data = Literal["log", "source", "both"]


class Fresh(NamedTuple):
    """The dataset version with the new rows as ``name@number``, or why there is none."""

    dataset: str | None
    rows: int
    reason: str
    warnings: tuple[str, ...] = ()


class _Base(NamedTuple):
    """The newest version of the source, and from when on its rows are wanted."""

    version: DatasetVersion
    rows: pa.Table
    since: datetime | None
    unchanged: str


def gather(
    project: Project, champion: ModelVersion, data: Data, progress: Progress | None = None
) -> Fresh:
    """Make a dataset version of what is new in the log, the source or both.

    Raises like ``ingest``.
    """
    report = progress or silent
    base = None if data == "log" else _read_source(project, champion, report)
    if data == "source":
        return _from_source(project, champion, base)
    report("reading the log")
    return _from_log(project, champion, base)


def _read_source(project: Project, champion: ModelVersion, report: Progress) -> _Base:
    name = champion.dataset_version.dataset.name
    added = pull.pull(project, name, progress=lambda what, *_: report(what))
    with project.read() as s:
        version = datasets.get_version(s, name, added.version)
    own = project.settings.model(champion.model.name).retrain_source_window
    window = own or project.settings.retrain.source_window
    since = None if window == "off" else project.now() - duration(window)
    unchanged = f"the source of {name} has not changed since {version.reference}"
    return _Base(version, ingest.load_version(project, version), since, unchanged)


def _from_source(project: Project, champion: ModelVersion, base: "_Base | None") -> Fresh:
    assert base is not None  # noqa: S101  # told by ``gather``
    dataset = base.version.dataset
    table, repeats = retraining_rows.combine(dataset, base.rows, None, base.since)
    if table.num_rows == base.rows.num_rows:
        added = versioning.already(base.version)
        return _fresh(project, champion, added, base.unchanged)
    few = _too_few(project, table, f"{base.version.reference} has {{}} rows in the window")
    if few or _has_learned(project, champion, table):
        return Fresh(None, table.num_rows, few or base.unchanged)
    reference = base.version.reference
    made = Window(base=reference, since=_text(base.since), left_out={"duplicates": repeats})
    origin = Origin(source=base.version.source, parents=(reference,), made=made)
    added = ingest.add_table(project, dataset.name, table, origin=origin)
    fresh = _fresh(project, champion, added, base.unchanged)
    return fresh._replace(warnings=_of_repeats(repeats))


def _from_log(project: Project, champion: ModelVersion, base: _Base | None) -> Fresh:
    model, dataset = champion.model.name, champion.dataset_version.dataset
    length = project.settings.model(model).retrain_window or project.settings.retrain.window
    window = evidence.window(project, length)
    base_schema = _like(project, champion) if base is None else base.rows.schema
    picked = retraining_rows.pick(project, champion, window, base_schema)
    logged = retraining_rows.as_dataset(picked.rows, dataset, base_schema)
    base_rows, since = (None, None) if base is None else (base.rows, base.since)
    table, repeats = retraining_rows.combine(dataset, base_rows, logged, since)
    picked.left_out["duplicates"] += repeats
    warnings = (*picked.warnings, *_of_repeats(picked.left_out["duplicates"]))
    few = _too_few(project, table, f"the log of the last {length} has {{}} rows with an actual")
    if few:
        return Fresh(None, table.num_rows, few, warnings)
    nothing = f"the log has no row with an actual that {model} has not learned from"
    if _has_learned(project, champion, table):
        return Fresh(None, table.num_rows, nothing, warnings)
    origin = _origin(project, champion, window, picked, base, base_schema)
    left_out = (champion.recipe.get(why, ()) for why in ("ignore", "constant"))
    free = tuple(chain.from_iterable(left_out))  # no client sends them, so no log has them
    added = ingest.add_table(project, dataset.name, table, origin=origin, free=free)
    return _fresh(project, champion, added, nothing)._replace(warnings=warnings)


def _like(project: Project, champion: ModelVersion) -> pa.Schema:
    return ingest.load_version(project, champion.dataset_version).schema


def _origin(
    project: Project,
    champion: ModelVersion,
    window: evidence.Window,
    picked: Picked,
    base: _Base | None,
    like: pa.Schema,
) -> Origin:
    """Return where the rows come from, and all that making them again takes."""
    model = champion.model.name
    made = Log(
        model=model,
        versions=tuple(sorted(set(picked.rows["_version"].to_pylist()))),
        start=window.start.isoformat(),
        end=window.end.isoformat(),
        until=_text(picked.until),
        picked=retraining_rows.store(project, picked.rows),
        types=retraining_rows.types(like),
        left_out=picked.left_out,
        base=UNSET if base is None else base.version.reference,
        since=UNSET if base is None else _text(base.since),
    )
    source = f"log of {model}, {window.start:%Y-%m-%d} to {window.end:%Y-%m-%d}"
    parent = champion.dataset_version if base is None else base.version
    if base is not None:
        source += f", and {base.version.source}"
    return Origin(source=source, parents=(parent.reference,), made=made)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _too_few(project: Project, table: pa.Table, have: str) -> str:
    least = project.settings.train.min_rows
    if table.num_rows >= least:
        return ""
    return f"{have.format(table.num_rows)}, {least} are needed"


def _of_repeats(repeats: int) -> tuple[str, ...]:
    if not repeats:
        return ()
    return (f"duplicates: {repeats:,} rows repeat an earlier one and are left out",)


def _fresh(project: Project, champion: ModelVersion, added: Added, otherwise: str) -> Fresh:
    """Return the version, unless an earlier one of the model was trained on it."""
    reference = f"{added.dataset}@{added.version}"
    if reference in {version.reference for version in _learned(project, champion)}:
        return Fresh(None, added.rows, otherwise)
    return Fresh(reference, added.rows, "")


def _has_learned(project: Project, champion: ModelVersion, table: pa.Table) -> bool:
    """Tell whether the newest version that the model learned from has all these rows.

    Then only old rows have left the window.
    """
    dataset_id = champion.dataset_version.dataset_id
    learned = [v for v in _learned(project, champion) if v.dataset_id == dataset_id]
    newest = max(learned, key=lambda version: version.number)
    if newest.rows < table.num_rows:
        return False
    whole = ingest.load_version(project, newest)
    if whole.schema.equals(table.schema):
        return duplicates.contains(whole, table)
    return False


def _learned(project: Project, champion: ModelVersion) -> list[DatasetVersion]:
    """Return the dataset versions that the versions of the model were trained on."""
    with project.read() as s:
        model = registry.get_model(s, champion.model.name)
        return [version.dataset_version for version in model.versions]
