"""Digests of the rows that decide what is served, to whom, and with which provenance.

An event of the audit trail contains the digests of the rows that it covers. A row that is changed,
added or removed by SQL then differs from the last event about it.
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Dialect, Row, Select, Text, cast, select
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeDecorator

from mlkit.store.base import Base
from mlkit.store.baselines import Baseline
from mlkit.store.datasets import Dataset, DatasetVersion
from mlkit.store.deployments import Deployment
from mlkit.store.dialects.json_columns import JsonObject
from mlkit.store.erasures import Erasure
from mlkit.store.registry import Model, ModelVersion
from mlkit.store.reports import DriftReport, PerformanceReport
from mlkit.store.segments import Segment
from mlkit.store.tokens import Token

# Columns that change in normal operation are not covered: the end of a deployment follows from the
# next one, and the last use of a token is no decision. A column may be added if it is null in
# all rows that are already covered: nulls are left out of the digest.
_REPORT: Final = (
    "model_id", "model_version_id", "window_start", "window_end", "verdict", "summary", "details",
    "created_at", "standing",
)  # fmt: skip
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
    Dataset: ("name", "target", "time_column", "entity_column"),
    DatasetVersion: (
        "dataset_id", "number", "sha256", "rows", "schema_yaml", "profile", "source",
        "source_sha256", "parents", "transformation", "warnings", "created_at", "collected_at",
    ),
    Baseline: (
        "model_id", "name", "window_start", "window_end", "rows", "versions", "answers_of",
        "sha256", "created_by", "created_at",
    ),
    Token: (
        "name", "scope", "sha256", "created_at", "revoked_at", "models", "rate", "expires_at",
    ),
    Erasure: ("dataset_id", "subject", "reason", "asked_by", "asked_at", "done_at"),
    DriftReport: (*_REPORT, "reference_rows", "current_rows"),
    PerformanceReport: (*_REPORT, "rows", "coverage"),
    Segment: (
        "model_id", "day", "path", "sha256", "rows", "min_seq", "max_seq", "min_time", "max_time",
        "created_at",
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
    """Return the digest of the row in the database, None if there is no such row."""
    table, _, identifier = name.partition(":")
    kind = _TABLES[table]
    key = identifier if kind is Token else int(identifier)
    row = s.execute(_query(kind).where(kind.__table__.c.id == key)).first()
    return None if row is None else _digest(row)


def every(s: Session) -> Iterator[tuple[str, str]]:
    """Yield name and digest of every covered row."""
    for kind in _COLUMNS:
        for row in s.execute(_query(kind).order_by(kind.__table__.c.id)):
            yield f"{kind.__tablename__}:{row.id}", _digest(row)


def is_covered(name: str) -> bool:
    """Tell whether ``name`` is of a table that this release covers."""
    return table_of(name) in _TABLES


def table_of(name: str) -> str:
    """Return the table of a row name in an event."""
    return name.partition(":")[0]


def _query(kind: type[Base]) -> Select[tuple[object, ...]]:
    columns = kind.__table__.c
    return select(columns.id, *(_read(columns[name]) for name in _COLUMNS[kind]))


def _read(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Read reports and profiles as raw text: decoding the JSON of many is slow."""
    is_large = isinstance(column.type, JsonObject) or column.name == "profile"
    return cast(column, _Large).label(column.name) if is_large else column


class _Large(TypeDecorator[str]):
    """A large text column that is read as its digest."""

    impl = Text
    cache_ok = True

    def process_result_value(
        self,
        value: str | None,
        dialect: Dialect,  # noqa: ARG002  # SQLAlchemy's signature
    ) -> str | None:
        """Return the digest."""
        return None if value is None else hashlib.sha256(value.encode()).hexdigest()


def _digest(row: Row[tuple[object, ...]]) -> str:
    content = {name: value for name, value in row._mapping.items() if value is not None}  # noqa: SLF001  # its documented name
    text = json.dumps(content, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> str:
    """Return a time as text, and an invalid value as text unlike any valid one."""
    return value.isoformat() if isinstance(value, datetime) else repr(value)
