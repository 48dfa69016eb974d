"""Digests of the rows that decide what is served, to whom, and what it was made of.

An event of the audit trail carries those of the rows it is about; a row that somebody changes,
adds or removes with SQL then differs from the last event about it.
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from sqlalchemy import Row, Select, select
from sqlalchemy.orm import Session

from mlkit.store.base import Base
from mlkit.store.baselines import Baseline
from mlkit.store.datasets import DatasetVersion
from mlkit.store.registry import Deployment, Model, ModelVersion
from mlkit.store.tokens import Token

# What changes in the ordinary course is not among them: when a deployment ended follows from the
# next one, and a token's last use is nobody's act. A column may be added here if it is empty in
# all rows that are covered already: what is empty is left out of the digest.
_COLUMNS: Final[dict[type[Base], tuple[str, ...]]] = {
    Model: ("name", "task", "target"),
    ModelVersion: (
        "model_id", "number", "artifact_sha256", "signature", "reference_sha256",
        "estimation_sha256", "input_schema", "estimator", "recipe", "params", "metrics", "code",
        "intervals", "slices", "holdout_rows", "warnings", "golden", "verdict",
        "dataset_version_id", "parent_id", "code_commit", "python", "packages", "seed",
        "created_by", "created_at",
    ),
    Deployment: (
        "model_id", "model_version_id", "role", "share", "started_at", "action", "actor",
        "reason", "evidence",
    ),
    DatasetVersion: (
        "dataset_id", "number", "sha256", "schema_yaml", "source", "parents", "transformation",
    ),
    Baseline: ("model_id", "name", "sha256"),
    Token: (
        "name", "scope", "sha256", "created_at", "revoked_at", "models", "rate", "expires_at",
    ),
}  # fmt: skip
_TABLES: Final = {kind.__tablename__: kind for kind in _COLUMNS}


def name_of(row: object) -> str | None:
    """Return the name that a covered row has in an event (``deployment:5``), None for another."""
    kind = type(row)
    if kind not in _COLUMNS:
        return None
    return f"{kind.__tablename__}:{row.id}"  # type: ignore[attr-defined]  # each of them has one


def digest(s: Session, name: str) -> str | None:
    """Return the digest of the row as the database has it, None if it has none of the name."""
    table, _, identifier = name.partition(":")
    kind = _TABLES[table]
    key = identifier if kind is Token else int(identifier)
    row = s.execute(_query(kind).where(kind.__table__.c.id == key)).first()
    return None if row is None else _digest(row)


def every(s: Session) -> Iterator[tuple[str, str]]:
    """Yield the name and the digest of every row that there is."""
    for kind in _COLUMNS:
        for row in s.execute(_query(kind).order_by(kind.__table__.c.id)):
            yield f"{kind.__tablename__}:{row.id}", _digest(row)


def is_covered(name: str) -> bool:
    """Tell whether ``name`` is one of a table that this release covers."""
    return name.partition(":")[0] in _TABLES


def _query(kind: type[Base]) -> Select[tuple[object, ...]]:
    columns = kind.__table__.c
    return select(columns.id, *(columns[name] for name in _COLUMNS[kind]))


def _digest(row: Row[tuple[object, ...]]) -> str:
    content = {name: value for name, value in row._mapping.items() if value is not None}  # noqa: SLF001  # its documented name
    text = json.dumps(content, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"a column of kind {type(value).__name__} is in no digest")
