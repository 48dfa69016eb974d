"""Store accepted rows as a dataset version: first the file, then the row that names it."""

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from mlkit.flows.data import acceptance, scratch, subjects
from mlkit.flows.data.acceptance import Accepted, Roles
from mlkit.project import Project, Session
from mlkit.provenance import Csv, File, Join, Parquet, Provenance, Unknown
from mlkit.store import audit, datasets
from mlkit.store.datasets import Dataset, DatasetVersion
from mlkit.store.disk import failpoints

if TYPE_CHECKING:
    from mlkit.steps.tables.tabular import Tabular


class Added(msgspec.Struct, frozen=True):
    """The result of ``add``; ``new`` is false if the same rows were stored already.

    ``read_as`` says how a file was read.
    """

    dataset: str
    version: int
    rows: int
    sha256: str
    warnings: tuple[str, ...]
    new: bool
    read_as: Csv | Parquet | dict[str, Any] = {}


@dataclass(frozen=True)
class Origin:
    """Where the rows of a version come from, and how to make them again."""

    source: str
    sha256: str | None = None
    parents: tuple[str, ...] = ()
    made: Provenance = field(default_factory=Unknown)


def own_roles(dataset: Dataset) -> Roles:
    """Return the columns of ``dataset`` that have a role."""
    return Roles(dataset.target, dataset.time_column, dataset.entity_column)


def already(version: DatasetVersion) -> Added:
    """Return the result for rows that are stored already, as ``version``."""
    made = version.provenance
    return Added(
        version.dataset.name,
        version.number,
        version.rows,
        version.sha256,
        tuple(version.warnings),
        new=False,
        read_as=(made.read_as or {}) if isinstance(made, File) else {},
    )


def keep(project: Project, name: str, roles: Roles, *, accepted: Accepted, origin: Origin) -> Added:
    """Store the rows, then the row that names them, then the rules for the user to edit.

    No new version if the last one of the same origin has the same rows. The caller holds the lock
    of the dataset (``scratch.alone``). Rows of erased subjects are left out, which a warning tells.
    """
    accepted = _without_erased(project, name, roles, accepted)
    sha256 = _store(project, name, accepted.table)
    failpoints.reach("data.stored")
    with project.write() as s:
        dataset = with_roles(project, s, name, roles)
        version = datasets.newest_like(s, dataset, origin.made)
        if version is not None and not _is_same(version, sha256, origin):
            version = None
        new = version is None
        if version is None:
            version = _add_version(project, s, dataset, accepted=accepted, origin=origin)
            version.sha256 = sha256
            _record(project, s, version)
        elif version.collected_at is not None:
            version.collected_at = None  # its file exists again
            _record(project, s, version)
        added = msgspec.structs.replace(already(version), new=new)
    failpoints.reach("data.recorded")
    acceptance.write_rules(project, name, accepted.schema_yaml)
    return added


def _without_erased(project: Project, name: str, roles: Roles, accepted: Accepted) -> Accepted:
    erased = subjects.of(project, name)
    table = erased.without(accepted.table, roles.entity)
    lost = accepted.table.num_rows - table.num_rows
    if not lost:
        return accepted
    from mlkit.steps.quality import profile  # imports pandas, which the check has already imported

    return dataclasses.replace(
        accepted,
        table=table,
        profile=[msgspec.to_builtins(each) for each in profile.describe(table)],
        warnings=(*accepted.warnings, f"erased: {lost:,} rows of erased subjects are left out"),
    )


def _is_same(version: DatasetVersion, sha256: str, origin: Origin) -> bool:
    """Tell whether ``version`` has these rows and the same feature views and functions.

    Joined rows whose views are now served differently make a new version.
    """
    served = _served(version.provenance) == _served(origin.made)
    return version.sha256 == sha256 and served


def _served(made: Provenance) -> list[tuple[object, ...]]:
    """Return what serving needs to know about the views and functions of a join."""
    if not isinstance(made, Join):
        return []
    views = [(use.name, use.version, use.entity, use.ttl, use.on_missing) for use in made.views]
    return [*views, *((use.name, use.version, use.digest) for use in made.on_demand)]


def _store(project: Project, name: str, table: "Tabular") -> str:
    from mlkit.steps.reading import frames  # imports pyarrow, which `data list` does not need

    part = scratch.of_dataset(project, name) / "version.parquet"
    try:
        frames.write_parquet(table, part)
        failpoints.reach("data.written")
        return project.data.adopt(part)
    finally:
        part.unlink(missing_ok=True)


def with_roles(project: Project, s: Session, name: str, roles: Roles) -> Dataset:
    """Return the dataset with ``roles``, creating it if it is new."""
    dataset = datasets.find(s, name)
    if dataset is None:
        dataset = Dataset(name=name, created_at=project.now())
        s.add(dataset)
    dataset.target = roles.target
    dataset.time_column = roles.time
    dataset.entity_column = roles.entity
    s.flush()
    return dataset


def _add_version(
    project: Project, s: Session, dataset: Dataset, *, accepted: Accepted, origin: Origin
) -> DatasetVersion:
    made = origin.made
    version = DatasetVersion(
        dataset=dataset,
        number=datasets.next_number(s, dataset),
        rows=accepted.table.num_rows,
        schema_yaml=accepted.schema_yaml,
        profile={"columns": accepted.profile},
        source=origin.source,
        source_sha256=origin.sha256,
        parents=list(origin.parents),
        provenance=msgspec.structs.replace(made, quarantine=accepted.aside or made.quarantine),
        warnings=list(accepted.warnings),
        created_at=project.now(),
    )
    s.add(version)
    return version


def _record(project: Project, s: Session, version: DatasetVersion) -> None:
    audit.record(
        s,
        project.now(),
        actor=project.actor,
        action="data add",
        subject=version.reference,
        details={"sha256": version.sha256, "rows": version.rows, "source": version.source},
    )
