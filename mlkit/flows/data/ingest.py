"""Ingest rows: read, check, and store them as a dataset version, or refuse all of them."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mlkit import names
from mlkit.errors import CheckFailedError, ConflictError, InvalidInputError, NotFoundError
from mlkit.flows.data import acceptance, quarantine, scratch, sources, versioning
from mlkit.flows.data.acceptance import Accepted, Roles, Rules
from mlkit.flows.data.fetched import Fetched, Ready
from mlkit.flows.data.file_source import FileSource
from mlkit.flows.data.sources import Source
from mlkit.flows.data.versioning import Added, Origin
from mlkit.progress import BytesRead
from mlkit.project import Project
from mlkit.provenance import File, Stated, Unknown
from mlkit.steps.reading.options import Reading
from mlkit.store import datasets
from mlkit.store.datasets import DatasetVersion
from mlkit.store.disk import failpoints

if TYPE_CHECKING:
    import pyarrow as pa

    from mlkit.steps.tables.tabular import Tabular


class Validated(msgspec.Struct, frozen=True):
    """The result for a file that would be accepted, without the rows to be set aside."""

    dataset: str
    rows: int
    warnings: tuple[str, ...]
    valid: bool = True
    set_aside: int = 0


def add(
    project: Project,
    name: str,
    source: Path | Source | None = None,
    *,
    target: str | None = None,
    time: str | None = None,
    entity: str | None = None,
    progress: BytesRead | None = None,
) -> Added:
    """Store the rows of ``source`` as the next (or first) version of dataset ``name``.

    A path is a file or a folder; None means the source in ``[datasets.NAME]``. The first version
    writes the rules (``schemas/NAME.yaml``); later versions are checked against them. Raises
    CheckFailedError with every failure; then nothing is stored.
    """
    names.check("dataset", name)
    say = progress or _silent
    with scratch.alone(project, name) as folder:
        roles = _roles(project, name, Roles(target, time, entity))
        ready = sources.ready(project, name, _source(project, name, source), folder)
        same = _same_source(project, name, roles, ready)
        if same is not None:
            ready.settled()
            return same
        rules = acceptance.read_rules(project, name)
        fetched = ready.fetch(Reading(folder, types=acceptance.types(rules, roles), progress=say))
        failpoints.reach("data.fetched")
        say("checking", 0, 0)
        accepted = _accept(name, fetched, roles, rules)
        say("writing", 0, 0)
        added = versioning.keep(project, name, roles, accepted=accepted, origin=fetched.origin)
        ready.settled()
        return added


def pull(project: Project, name: str, *, progress: BytesRead | None = None) -> Added:
    """Fetch the source of a known dataset again; add a version only if its rows changed.

    Raises like ``add``.
    """
    with project.read() as s:
        if name in project.settings.datasets and datasets.find(s, name) is None:
            raise NotFoundError(
                f"dataset '{name}' has no version yet; make the first one, which says what its "
                f"columns are for: mlkit data add {name} (see: mlkit data add --help)"
            )
        datasets.get(s, name)
    return add(project, name, progress=progress)


def add_table(
    project: Project,
    name: str,
    table: "Tabular",
    *,
    origin: Origin,
    roles: Roles | None = None,
    free: tuple[str, ...] = (),
    inferred: Callable[[str], str] = str,
) -> Added:
    """Store ``table`` as the next version of a dataset, or the first one if ``roles`` are given.

    The columns ``free`` may be missing, or have missing values, whatever the rules say.
    ``inferred`` edits the rules that are inferred from a first version. Raises like ``add``, and
    NotFoundError without ``roles`` for a dataset that does not exist.
    """
    with scratch.alone(project, names.check("dataset", name)):
        if roles is None:
            with project.read() as s:
                datasets.get(s, name)
        roles = _roles(project, name, roles or Roles())
        rules = dataclasses.replace(
            acceptance.read_rules(project, name), free=free, inferred=inferred
        )
        accepted = acceptance.accept(name, table, roles=roles, rules=rules)
        return versioning.keep(project, name, roles, accepted=accepted, origin=origin)


def validate(
    project: Project, name: str, source: Path | Source | None = None, *, aside: Path | None = None
) -> Validated:
    """Check ``source`` as the next version of ``name`` without adding it; raises like ``add``.

    Rows that break a rule are written to ``aside``, if that is given.
    """
    with project.read() as s:
        datasets.get(s, name)
    shelf = None if aside is None else quarantine.shelf_at(aside)
    rules = dataclasses.replace(acceptance.read_rules(project, name), shelf=shelf)
    roles = _roles(project, name, Roles())
    with scratch.shared(project, name) as folder:
        ready = sources.ready(project, name, _source(project, name, source), folder)
        fetched = ready.fetch(Reading(folder, types=acceptance.types(rules, roles)))
        rows = fetched.table.num_rows
        try:
            accepted = _accept(name, fetched, roles, rules)
        except CheckFailedError as refused:
            refused.details.update(valid=False, rows=rows)
            raise
        set_aside = accepted.aside.rows if accepted.aside else 0
        return Validated(name, rows, accepted.warnings, set_aside=set_aside)


def _accept(name: str, fetched: Fetched, roles: Roles, rules: Rules) -> Accepted:
    """Check the fetched rows and return those accepted; raises CheckFailedError."""
    if fetched.typed and rules.circumstances is not None:
        circumstances = rules.circumstances._replace(typed=fetched.typed)
        rules = dataclasses.replace(rules, circumstances=circumstances)
    accepted = acceptance.accept(name, fetched.table, roles=roles, rules=rules)
    return dataclasses.replace(accepted, warnings=(*fetched.warnings, *accepted.warnings))


def load_table(project: Project, sha256: str) -> "pa.Table":
    """Return the rows of a dataset version; raises DamagedError if its file has changed."""
    from mlkit.steps.reading import frames  # imports pyarrow, which `data list` does not need

    return frames.read_parquet(project.data.read(sha256))


def stored_rows(project: Project, sha256: str) -> "Tabular":
    """Open the rows of a dataset version on disk; raises DamagedError if the file has changed."""
    from mlkit.steps.tables.stored_table import (
        StoredTable,  # imports pyarrow, which `data list` does not need
    )

    return StoredTable(project.data.checked(sha256))


def load_version(project: Project, version: DatasetVersion) -> "pa.Table":
    """Return the rows of a dataset version; raises ConflictError if they were collected."""
    refuse_collected(version)
    return load_table(project, version.sha256)


def refuse_collected(version: DatasetVersion) -> None:
    """Raise ConflictError if the file of ``version`` is gone because nothing needed it."""
    if version.collected_at is not None:
        raise ConflictError(
            f"the rows of {version.reference} were collected on {version.collected_at:%Y-%m-%d} "
            f"(mlkit data gc); make them again with: mlkit data rebuild {version.reference}"
        )


def parse_reference(text: str) -> tuple[str, int | None]:
    """Return the name and number in ``name`` or ``name@3``; raises InvalidInputError.

    >>> parse_reference("churn@3")
    ('churn', 3)
    """
    name, at, number = text.partition("@")
    if at and not (number.isascii() and number.isdigit() and int(number) > 0):
        raise InvalidInputError(f"'{text}' names no version; write for example {name or 'NAME'}@1")
    return names.check("dataset", name), int(number) if at else None


def _silent(_what: str, _done: int, _total: int) -> None:
    """Report nothing."""


def _source(project: Project, name: str, given: Path | Source | None) -> Source:
    if given is None:
        return sources.configured(project, name)
    return FileSource(given) if isinstance(given, Path) else given


def _roles(project: Project, name: str, given: Roles) -> Roles:
    """Return the dataset's roles with those of ``given`` that it does not have yet."""
    with project.read() as s:
        dataset = datasets.find(s, name)
        own = Roles() if dataset is None else versioning.own_roles(dataset)
    for role, wanted in dataclasses.asdict(given).items():
        has = getattr(own, role)
        if wanted is not None and has not in (None, wanted):
            raise ConflictError(
                f"the {role} column of dataset '{name}' is '{has}', not '{wanted}'; leave --{role} "
                "out, or add the file under another name"
            )
    return Roles(own.target or given.target, own.time or given.time, own.entity or given.entity)


def _same_source(project: Project, name: str, roles: Roles, ready: Ready) -> Added | None:
    """Return the last version, with any new roles, if it was made from the same bytes."""
    with project.read() as s:
        dataset = datasets.find(s, name)
        if dataset is None or ready.sha256 is None:
            return None
        version = datasets.newest_like(s, dataset, Unknown())
        if version is None or version.source_sha256 != ready.sha256 or version.collected_at:
            return None
        made = version.provenance
        if (made.stated if isinstance(made, File) else Stated()) != ready.stated:
            return None
        own = versioning.own_roles(dataset)
        found, sha256 = versioning.already(version), version.sha256
        origin = Origin(version.source, ready.sha256, made=made)
        read_with = Rules(version.schema_yaml, f"the rules of {version.reference}")
    rules = acceptance.read_rules(project, name)
    if acceptance.types(rules, roles) != acceptance.types(read_with, roles):
        return None  # the same bytes are read as different rows now
    if roles == own:
        acceptance.write_rules(project, name, str(rules.text))
        return found
    table = stored_rows(project, sha256)
    accepted = acceptance.accept(name, table, roles=roles, rules=rules)
    return versioning.keep(project, name, roles, accepted=accepted, origin=origin)
