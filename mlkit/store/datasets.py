"""Datasets and their versions: the records; the files are in ``blobs``."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, NamedTuple, TypedDict, TypeVar

import msgspec
from sqlalchemy import (
    JSON,
    ColumnElement,
    ForeignKey,
    Integer,
    Select,
    String,
    Text,
    UniqueConstraint,
    cast,
    event,
    func,
    select,
)
from sqlalchemy.orm import Mapped, Session, defer, mapped_column, relationship

from mlkit import provenance
from mlkit.errors import DamagedError, NotFoundError, unknown
from mlkit.provenance import Join, Kind, Log, Provenance, Window
from mlkit.store.base import Base, UtcDateTime
from mlkit.store.dialects import json_columns

K = TypeVar("K", bound=Kind)


class Dataset(Base):
    """A named stream of rows with one target."""

    __tablename__ = "dataset"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    target: Mapped[str | None]
    time_column: Mapped[str | None]
    entity_column: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    versions: Mapped[list["DatasetVersion"]] = relationship(
        back_populates="dataset", order_by="DatasetVersion.number"
    )


class DatasetVersion(Base):
    """One immutable state of a dataset: the sha256 of its canonical Parquet file.

    The file of a version with ``collected_at`` was deleted, because nothing needed it.
    """

    __tablename__ = "dataset_version"
    __table_args__ = (UniqueConstraint("dataset_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("dataset.id"))
    number: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    rows: Mapped[int]
    schema_yaml: Mapped[str] = mapped_column(Text)
    profile: Mapped[dict[str, Any]] = mapped_column(JSON)
    source: Mapped[str]
    source_sha256: Mapped[str | None] = mapped_column(String(64))
    parents: Mapped[list[str]] = mapped_column(JSON)
    transformation: Mapped[dict[str, Any]] = mapped_column(JSON, server_default="{}")
    warnings: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    collected_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    erased_rows: Mapped[int] = mapped_column(default=0, server_default="0")

    dataset: Mapped[Dataset] = relationship(back_populates="versions", lazy="joined")

    @property
    def reference(self) -> str:
        """The reference that a user types: ``name@number``."""
        return f"{self.dataset.name}@{self.number}"

    @property
    def provenance(self) -> Provenance:
        """The provenance of its rows; raises DamagedError if ``transformation`` was edited."""
        try:
            return provenance.read(self.transformation)
        except (msgspec.ValidationError, OverflowError) as error:
            raise DamagedError(
                f"the row of {self.reference} is not as it was recorded: transformation is "
                f"{str(self.transformation)[:40]!r}: {error}; restore a backup "
                "(see: mlkit backup restore)"
            ) from error

    @provenance.setter
    def provenance(self, made: Provenance) -> None:
        self.transformation = provenance.written(made)

    @property
    def join(self) -> Join | None:
        """The provenance of a join, None for other versions."""
        made = self.provenance
        return made if isinstance(made, Join) else None

    @property
    def base(self) -> str | None:
        """The version that rows or columns were added to, as ``name@number``."""
        made = self.provenance
        return made.base or None if isinstance(made, Join | Window | Log) else None

    @property
    def made_of(self) -> tuple[str, ...]:
        """The parent versions of its rows, each as ``name@number``."""
        views = [view.dataset for view in self.join.views] if self.join else []
        return tuple(dict.fromkeys(each for each in (self.base, *views, *self.parents) if each))


class _Column(TypedDict):
    name: str
    type: str


class _Profile(TypedDict):
    columns: list[_Column]


_RECORDED: Final[dict[str, Any]] = {
    **dict.fromkeys(("number", "rows", "erased_rows"), int),
    "profile": _Profile,
    "parents": list[str],
    "warnings": list[str],
}


@event.listens_for(DatasetVersion, "load")
def refuse_edited(version: DatasetVersion, _context: object) -> None:
    """Raise DamagedError for a row with values of a type that no release wrote."""
    json_columns.refuse_edited(version, _RECORDED)
    if "transformation" in vars(version):
        version.provenance  # noqa: B018  # raises


_SLIM: Final = (defer(DatasetVersion.schema_yaml), defer(DatasetVersion.profile))


class Made(NamedTuple):
    """The parents of a version as ``name@number``, and whether it is a join."""

    parents: tuple[str, ...]
    joined: bool


def find(s: Session, name: str) -> Dataset | None:
    """Return the dataset, or None."""
    return s.scalar(select(Dataset).where(Dataset.name == name))


def get(s: Session, name: str) -> Dataset:
    """Return the dataset; raises NotFoundError with the names that exist."""
    dataset = find(s, name)
    if dataset is None:
        raise unknown("dataset", name, list_names(s), "mlkit data list")
    return dataset


def list_names(s: Session) -> list[str]:
    """Return the names of all datasets, sorted."""
    return list(s.scalars(select(Dataset.name).order_by(Dataset.name)))


def get_version(s: Session, name: str, number: int | None = None) -> DatasetVersion:
    """Return version ``number`` of a dataset, the newest if None; raises NotFoundError."""
    dataset = get(s, name)
    query = select(DatasetVersion).where(DatasetVersion.dataset_id == dataset.id)
    if number is not None:
        query = query.where(DatasetVersion.number == number)
    found = s.scalars(query.order_by(DatasetVersion.number.desc()).limit(1)).first()
    if found is not None:
        return found
    versions = dataset.versions
    raise NotFoundError(
        f"dataset '{name}' has no version {number if number is not None else ''}".rstrip()
        + f"; newest: {versions[-1].number if versions else 'none'} (see: mlkit data show {name})"
    )


def newest_sha256(s: Session, name: str) -> str | None:
    """Return the digest of the rows of the newest version, None before its first."""
    query = _newest_first(name).with_only_columns(DatasetVersion.sha256)
    return s.scalar(query.limit(1))


def newest(s: Session, name: str) -> DatasetVersion | None:
    """Return the newest version of a dataset, None before its first."""
    return s.scalars(_newest_first(name).limit(1)).first()


def last_made(s: Session, name: str, kind: type[K]) -> K | None:
    """Return the provenance of the newest version of a kind, such as a query."""
    version = newest_made(s, name, kind)
    made = None if version is None else version.provenance
    return made if isinstance(made, kind) else None


def newest_made(s: Session, name: str, kind: type[Kind]) -> DatasetVersion | None:
    """Return the newest version of a kind, without its large columns."""
    return s.scalars(_newest_first(name).where(_is(kind)).options(*_SLIM).limit(1)).first()


def _is(*kinds: type[Kind]) -> ColumnElement[bool]:
    made = DatasetVersion.transformation["kind"].as_string()
    return func.coalesce(made, "").in_(map(provenance.tag, kinds))


def _newest_first(name: str) -> Select[DatasetVersion]:
    query = select(DatasetVersion).join(Dataset).where(Dataset.name == name)
    return query.order_by(DatasetVersion.number.desc())


def newest_like(s: Session, dataset: Dataset, made: Provenance) -> DatasetVersion | None:
    """Return the newest version of the same origin: fetched, or picked from the log.

    A dataset may have both; fetched rows are compared with the last fetched ones.
    """
    retrained = _is(Log, Window)
    wanted = retrained if isinstance(made, Log | Window) else ~retrained
    return s.scalars(_newest_first(dataset.name).where(wanted).limit(1)).first()


def versions(s: Session) -> Iterator[DatasetVersion]:
    """Yield the versions of all datasets, the oldest first."""
    yield from s.scalars(select(DatasetVersion).order_by(DatasetVersion.id))


def sound(s: Session) -> Iterator[DatasetVersion]:
    """Yield every undamaged version, newest first."""
    for key in s.scalars(select(DatasetVersion.id).order_by(DatasetVersion.id.desc())).all():
        with suppress(DamagedError):  # skipped: doctor reports it
            version = s.get_one(DatasetVersion, key)
            refuse_edited(version, None)  # an earlier attempt may have cached it in the session
            yield version


def outline(s: Session) -> list[DatasetVersion]:
    """Return every version without its rules and profile, the large columns."""
    query = select(DatasetVersion).join(Dataset).options(*_SLIM)
    return list(s.scalars(query.order_by(Dataset.name, DatasetVersion.number)))


def made(s: Session, dataset_id: int) -> dict[int, Made]:
    """Return the parents of each version of a dataset, by number, without large columns."""
    query = select(DatasetVersion.number, DatasetVersion.parents, _is(Join))
    found = s.execute(query.where(DatasetVersion.dataset_id == dataset_id))
    return {number: Made(tuple(parents), joined) for number, parents, joined in found}


def blobs(s: Session) -> set[str]:
    """Return the digest of every file that a version needs: its rows, and their inputs.

    A collected version needs only the inputs for its rebuild.
    """
    held = select(DatasetVersion.sha256).where(DatasetVersion.collected_at.is_(None))
    picked = DatasetVersion.transformation["picked"].as_string()
    return {*s.scalars(held), *s.scalars(select(picked).where(picked.is_not(None)))}


def next_number(s: Session, dataset: Dataset) -> int:
    """Return the number that the next version gets."""
    query = select(func.max(cast(DatasetVersion.number, Integer))).where(
        DatasetVersion.dataset_id == dataset.id
    )
    return (s.scalar(query) or 0) + 1
