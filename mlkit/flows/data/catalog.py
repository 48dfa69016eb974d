"""Read-only reports on datasets: the list, one version in full, the diff of two versions."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
import yaml

from mlkit.errors import DamagedError, NotFoundError
from mlkit.flows.data import acceptance, ingest
from mlkit.project import Project, Session
from mlkit.store import datasets
from mlkit.store.datasets import DatasetVersion


class Listed(msgspec.Struct, frozen=True):
    """One dataset and its newest version.

    ``problem`` says why nothing else is shown: the version's row was changed after recording.
    """

    dataset: str
    version: int | None = None
    rows: int | None = None
    columns: int | None = None
    target: str | None = None
    time: str | None = None
    entity: str | None = None
    source: str | None = None
    added_at: datetime | None = None
    problem: str | None = None


class VersionLine(msgspec.Struct, frozen=True):
    """One version in the history of a dataset."""

    version: int
    rows: int
    columns: int
    sha256: str
    source: str
    parents: tuple[str, ...]
    warnings: tuple[str, ...]
    added_at: datetime
    collected_at: datetime | None = None
    erased_rows: int = 0


class Shown(msgspec.Struct, frozen=True):
    """One version in full: the profile and rules of each column, and the version history."""

    dataset: str
    version: int
    rows: int
    sha256: str
    source: str
    target: str | None
    time: str | None
    entity: str | None
    schema: str
    warnings: tuple[str, ...]
    columns: tuple[dict[str, Any], ...]
    versions: tuple[VersionLine, ...]
    transformation: dict[str, Any] = {}
    collected_at: datetime | None = None
    erased_rows: int = 0


class Change(msgspec.Struct, frozen=True):
    """The old and the new state of a column."""

    column: str
    old: Any
    new: Any


class Counts(msgspec.Struct, frozen=True):
    """Row counts of the two versions."""

    old: int
    new: int


class Columns(msgspec.Struct, frozen=True):
    """Columns that were added, removed, or changed their type."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[Change, ...]


class Diff(msgspec.Struct, frozen=True):
    """The difference of two versions: columns, rules, rows, distributions of common columns."""

    old: str
    new: str
    same: bool
    rows: Counts
    columns: Columns
    rules: tuple[Change, ...]
    keys: Any
    drift: Any


def list_datasets(project: Project) -> list[Listed]:
    """Return every dataset with its newest version, by name."""
    with project.read() as s:
        return [_listed(s, name) for name in datasets.list_names(s)]


def show(project: Project, reference: str) -> Shown:
    """Return the version that ``reference`` names (``name`` is its newest) in full."""
    name, number = ingest.parse_reference(reference)
    with project.read() as s:
        version = datasets.get_version(s, name, number)
        dataset = version.dataset
        rules = _rules(version)
        return Shown(
            dataset=name,
            version=version.number,
            rows=version.rows,
            sha256=version.sha256,
            source=version.source,
            target=dataset.target,
            time=dataset.time_column,
            entity=dataset.entity_column,
            schema=str(acceptance.schema_file(project, name).relative_to(project.root)),
            warnings=tuple(version.warnings),
            columns=tuple(
                {**column, "rules": rules.get(column["name"], {})}
                for column in version.profile["columns"]
            ),
            versions=tuple(_line(v) for v in dataset.versions),
            transformation=version.transformation,
            collected_at=version.collected_at,
            erased_rows=version.erased_rows,
        )


def diff(project: Project, old: str, new: str | None = None) -> Diff:
    """Compare two versions: ``name@1 name@2``, ``name 1 2`` as ``name@1 2``, or the last two.

    Without ``new`` the newest version is compared with ``old``, or with the one before it.
    """
    with project.read() as s:
        first, second = _pair(s, old, new)
    tables = tuple(ingest.load_version(project, version) for version in (first, second))
    return Diff(
        old=first.reference,
        new=second.reference,
        same=first.sha256 == second.sha256,
        rows=Counts(first.rows, second.rows),
        columns=_columns(first, second),
        rules=_changes(_rules(first), _rules(second)),
        keys=_rows(first, second, *tables),
        drift=_drift(project, *tables),
    )


def _listed(s: Session, name: str) -> Listed:
    try:
        v = datasets.get_version(s, name)
    except DamagedError as error:  # one damaged dataset must not hide the others
        return Listed(name, problem=str(error))
    return Listed(
        dataset=name,
        version=v.number,
        rows=v.rows,
        columns=len(v.profile["columns"]),
        target=v.dataset.target,
        time=v.dataset.time_column,
        entity=v.dataset.entity_column,
        source=v.source,
        added_at=v.created_at,
    )


def _pair(s: Session, old: str, new: str | None) -> tuple[DatasetVersion, DatasetVersion]:
    name, number = ingest.parse_reference(old)
    if new is not None:
        other = f"{name}@{new.removeprefix('@')}" if new.removeprefix("@").isdigit() else new
        return datasets.get_version(s, name, number), datasets.get_version(
            s, *ingest.parse_reference(other)
        )
    newest = datasets.get_version(s, name)
    if number is None and newest.number == 1:
        raise NotFoundError(f"dataset '{name}' has one version; there is nothing to compare yet")
    if number is None:
        number = newest.dataset.versions[-2].number
    return datasets.get_version(s, name, number), newest


def _line(version: DatasetVersion) -> VersionLine:
    return VersionLine(
        version=version.number,
        rows=version.rows,
        columns=len(version.profile["columns"]),
        sha256=version.sha256,
        source=version.source,
        parents=tuple(version.parents),
        warnings=tuple(version.warnings),
        added_at=version.created_at,
        collected_at=version.collected_at,
        erased_rows=version.erased_rows,
    )


def _rules(version: DatasetVersion) -> dict[str, dict[str, Any]]:
    """Return the rules that the version passed, by column."""
    tree = yaml.safe_load(version.schema_yaml)
    return {str(name): dict(body) for name, body in tree["columns"].items()}


def _columns(first: DatasetVersion, second: DatasetVersion) -> Columns:
    old = {column["name"]: column["type"] for column in first.profile["columns"]}
    new = {column["name"]: column["type"] for column in second.profile["columns"]}
    return Columns(
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        changed=_changes(old, {name: new[name] for name in new if name in old}, common=True),
    )


def _changes(
    old: Mapping[str, Any], new: Mapping[str, Any], *, common: bool = False
) -> tuple[Change, ...]:
    names = [name for name in dict.fromkeys([*old, *new]) if not common or name in new]
    return tuple(
        Change(name, old.get(name), new.get(name))
        for name in names
        if old.get(name) != new.get(name)
    )


def _rows(first: DatasetVersion, second: DatasetVersion, old: Any, new: Any) -> Any:
    """Return the row changes, matched by entity and time if both versions have the same ones."""
    from mlkit.steps.tables import row_changes  # imports pyarrow, which the list does not need

    roles = [(v.dataset.entity_column, v.dataset.time_column) for v in (first, second)]
    entity, time = roles[0] if roles[0] == roles[1] else (None, None)
    key = [] if entity is None else [entity, *([] if time is None else [time])]
    return row_changes.compare(old, new, key=key)


def _drift(project: Project, old: Any, new: Any) -> Any:
    from mlkit.steps.drift import detection as drift  # imports scipy, which the list does not need

    rule = drift.DriftRule.from_settings(project.settings.drift)
    return drift.compare_tables(old, new, rule)
