"""Bring rows into a project: read, check, keep as a dataset version, or refuse without a trace."""

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mlkit import names
from mlkit.errors import CheckFailedError, ConflictError, InvalidInputError
from mlkit.flows import acceptance, versioning
from mlkit.flows.acceptance import Roles
from mlkit.flows.versioning import Added, Origin
from mlkit.project import Project
from mlkit.store import blobs, datasets

if TYPE_CHECKING:
    import pyarrow as pa

Report = Callable[[str], None]


class Validated(msgspec.Struct, frozen=True):
    """A file that would be accepted as the next version."""

    dataset: str
    rows: int
    warnings: tuple[str, ...]
    valid: bool = True


def add(
    project: Project,
    name: str,
    file: Path,
    *,
    target: str | None = None,
    time: str | None = None,
    entity: str | None = None,
    progress: Report | None = None,
) -> Added:
    """Make the rows of ``file`` the next version of dataset ``name``, the first one included.

    The first version writes the rules (``schemas/NAME.yaml``), every later one is checked against
    them. Raises CheckFailedError with every failure, and leaves no trace then.
    """
    names.check("dataset", name)
    say = progress or _silent
    with _alone(project, name):
        roles = _roles(project, name, Roles(target, time, entity))
        if not file.is_file():
            raise InvalidInputError(f"{file} is not a file")
        origin = Origin(
            str(file.resolve()), blobs.file_digest(file), transformation={"kind": "file"}
        )
        same = _same_source(project, name, roles, origin)
        if same is not None:
            return same
        say("reading")
        rules = acceptance.read_rules(project, name)
        table = acceptance.read_file(file, rules)
        say("checking")
        accepted = acceptance.accept(name, table, roles=roles, rules=rules)
        say("writing")
        return versioning.keep(project, name, roles, accepted=accepted, origin=origin)


def add_table(
    project: Project, name: str, table: "pa.Table", *, origin: Origin, roles: Roles | None = None
) -> Added:
    """Make ``table`` the next version of a dataset, the first one if ``roles`` are given.

    Raises like ``add``, and NotFoundError without ``roles`` for a dataset that does not exist.
    """
    with _alone(project, names.check("dataset", name)):
        if roles is None:
            with project.read() as s:
                datasets.get(s, name)
        roles = _roles(project, name, roles or Roles())
        rules = acceptance.read_rules(project, name)
        accepted = acceptance.accept(name, table, roles=roles, rules=rules)
        return versioning.keep(project, name, roles, accepted=accepted, origin=origin)


def validate(project: Project, name: str, file: Path) -> Validated:
    """Check ``file`` as the next version of ``name`` without adding it; raises like ``add``."""
    with project.read() as s:
        datasets.get(s, name)
    rules = acceptance.read_rules(project, name)
    table = acceptance.read_file(file, rules)
    roles = _roles(project, name, Roles())
    try:
        accepted = acceptance.accept(name, table, roles=roles, rules=rules)
    except CheckFailedError as refused:
        refused.details.update(valid=False, rows=table.num_rows)
        raise
    return Validated(name, table.num_rows, accepted.warnings)


def load_table(project: Project, sha256: str) -> "pa.Table":
    """Return the rows of a dataset version; raises DamagedError if its bytes have changed."""
    from mlkit.steps import frames  # pyarrow, which `data list` does without

    return frames.read_parquet(project.data.read(sha256))


def parse_reference(text: str) -> tuple[str, int | None]:
    """Return the name and number in ``name`` or ``name@3``; raises InvalidInputError.

    >>> parse_reference("churn@3")
    ('churn', 3)
    """
    name, at, number = text.partition("@")
    if at and not (number.isascii() and number.isdigit() and int(number) > 0):
        raise InvalidInputError(f"'{text}' names no version; write for example {name or 'NAME'}@1")
    return names.check("dataset", name), int(number) if at else None


def _silent(_message: str) -> None:
    """Report nothing."""


def _alone(project: Project, name: str) -> AbstractContextManager[None]:
    return project.lock(
        f"data-{name}", busy=f"another process is adding to dataset '{name}'; try again"
    )


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


def _same_source(project: Project, name: str, roles: Roles, origin: Origin) -> Added | None:
    """Return the version that was made from the same bytes, with roles it did not have yet."""
    with project.read() as s:
        dataset = datasets.find(s, name)
        if dataset is None:
            return None
        version = datasets.find_by_digest(s, dataset, source_sha256=origin.sha256)
        if version is None:
            return None
        own = versioning.own_roles(dataset)
        found, sha256 = versioning.already(version), version.sha256
    rules = acceptance.read_rules(project, name)
    if roles == own:
        acceptance.write_rules(project, name, str(rules.text))
        return found
    table = load_table(project, sha256)
    accepted = acceptance.accept(name, table, roles=roles, rules=rules)
    return versioning.keep(project, name, roles, accepted=accepted, origin=origin)
