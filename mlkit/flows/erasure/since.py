"""Repeat the erasures since a backup in the project that is restored from it.

The restored rows include those subjects again. The erasures are recorded there as unfinished, so
``doctor`` reports them and ``data erase NAME`` without an entity completes them.
"""

from pathlib import Path
from typing import NamedTuple

from mlkit.errors import MlkitError
from mlkit.layout import SETTINGS_FILE
from mlkit.project import Project, Session, locate_project
from mlkit.store import audit, datasets, erasures, schema
from mlkit.store.dialects import database_errors
from mlkit.store.erasures import Erasure

_ACTION = "data erase"


class Carried(NamedTuple):
    """The datasets with an erasure to repeat; ``readable`` is false if that cannot be read."""

    datasets: tuple[str, ...] = ()
    readable: bool = True


def carry(old: Path, project: Project) -> Carried:
    """Record in ``project`` the erasures that only the project in folder ``old`` has.

    None are recorded if ``old`` is no project, or a different one (with another key).
    """
    if not (old / SETTINGS_FILE).is_file():
        return Carried()
    try:
        found = _read(old, project.key)
    except (MlkitError, database_errors.UNTRANSLATED):  # damage may be the reason for the restore
        return Carried(readable=False)
    if not found:
        return Carried()
    schema.upgrade(project.database)
    with project.write() as s:
        names = {name for name, entity, one in found if _remember(s, project, name, entity, one)}
    return Carried(tuple(sorted(names)))


def _read(old: Path, key: bytes) -> list[tuple[str, str | None, Erasure]]:
    """Return each erasure with its dataset and entity column; raises if that fails."""
    project = locate_project(old, environment={})
    file = Path(project.database.location)
    if project.key != key or not project.database.is_sqlite or not file.is_file():
        return []
    try:
        with project.read() as s:
            return erasures.every(s)
    finally:
        project.close()


def _remember(
    s: Session, project: Project, name: str, entity: str | None, erasure: Erasure
) -> bool:
    """Record one erasure as unfinished; return whether that was needed."""
    dataset = datasets.find(s, name)
    if dataset is None:
        return False
    known = {each.subject: each for each in erasures.of_dataset(s, dataset.id)}
    if erasure.subject in known:
        return False
    dataset.entity_column = dataset.entity_column or entity
    s.add(
        Erasure(
            dataset_id=dataset.id,
            subject=erasure.subject,
            reason=erasure.reason,
            asked_by=erasure.asked_by,
            asked_at=erasure.asked_at,
        )
    )
    details = {"subjects": [erasure.subject], "reason": erasure.reason}
    audit.record(
        s, project.now(), actor=project.actor, action=_ACTION, subject=name, details=details
    )
    return True
