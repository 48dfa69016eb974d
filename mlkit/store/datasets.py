"""Datasets and their versions: what the rows say; the bytes are in ``blobs``."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, NotRequired, TypedDict

from sqlalchemy import (
    JSON,
    ForeignKey,
    Integer,
    Select,
    String,
    Text,
    UniqueConstraint,
    cast,
    event,
    func,
    or_,
    select,
)
from sqlalchemy.orm import Mapped, Session, defer, mapped_column, relationship

from mlkit.errors import DamagedError, NotFoundError, unknown
from mlkit.store.base import Base, UtcDateTime
from mlkit.store.dialects import json_columns

DERIVED = ("log", "window")  # kinds of versions that retraining makes


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

    The file of a version with ``collected_at`` is gone, because nothing needed it.
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
        """The text a user types for it: ``name@number``."""
        return f"{self.dataset.name}@{self.number}"

    @property
    def made_of(self) -> tuple[str, ...]:
        """The other versions that its rows come from, each as ``name@number``."""
        made = self.transformation
        views = [str(view["dataset"]) for view in made.get("views", ()) if view.get("dataset")]
        base = [str(made["base"])] if "base" in made else []
        return tuple(dict.fromkeys([*base, *views, *self.parents]))


class _Column(TypedDict):
    name: str
    type: str


class _Profile(TypedDict):
    columns: list[_Column]


class _View(TypedDict):
    name: str
    version: int
    dataset: str | None
    columns: list[str]
    types: list[str]
    entity: str
    key: Literal["integer", "text"]
    ttl: NotRequired[str | None]
    on_missing: NotRequired[Literal["null", "refuse"] | dict[str, Any]]
    digest: NotRequired[str]


class _OnDemand(TypedDict):
    name: str
    version: int
    inputs: list[str]
    columns: list[str]
    digest: str


class _Transformation(TypedDict, total=False):
    kind: str
    base: str
    read_as: dict[str, Any]
    views: list[_View]
    on_demand: list[_OnDemand]


_RECORDED: Final[dict[str, Any]] = {
    **dict.fromkeys(("number", "rows", "erased_rows"), int),
    "profile": _Profile,
    "parents": list[str],
    "transformation": _Transformation,
    "warnings": list[str],
}


@event.listens_for(DatasetVersion, "load")
def refuse_edited(version: DatasetVersion, _context: object) -> None:
    """Raise DamagedError for a row with values of another kind than were ever written."""
    json_columns.refuse_edited(version, _RECORDED)


class Made(NamedTuple):
    """What a version was made of: its parents as ``name@number``, and how (``transformation``)."""

    parents: tuple[str, ...]
    kind: str | None


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


def last_made(s: Session, name: str, kind: str) -> Mapping[str, Any] | None:
    """Return the transformation of the newest version that was made so, such as by a query."""
    made = DatasetVersion.transformation
    query = _newest_first(name).where(made["kind"].as_string() == kind).limit(1)
    return s.scalar(query.with_only_columns(made))


def newest_made(s: Session, name: str, kind: str) -> DatasetVersion | None:
    """Return the newest version that was made so."""
    made = DatasetVersion.transformation["kind"].as_string()
    return s.scalar(_newest_first(name).where(made == kind).limit(1))


def _newest_first(name: str) -> Select[DatasetVersion]:
    query = select(DatasetVersion).join(Dataset).where(Dataset.name == name)
    return query.order_by(DatasetVersion.number.desc())


def newest_like(
    s: Session, dataset: Dataset, transformation: Mapping[str, Any]
) -> DatasetVersion | None:
    """Return the newest version that was made in the same way: fetched, or picked from the log.

    A dataset may have both; what is fetched is compared with what was fetched last.
    """
    kind = DatasetVersion.transformation["kind"].as_string()
    derived = kind.in_(DERIVED)
    wanted = derived if transformation.get("kind") in DERIVED else or_(kind.is_(None), ~derived)
    return s.scalars(_newest_first(dataset.name).where(wanted).limit(1)).first()


def versions(s: Session) -> Iterator[DatasetVersion]:
    """Yield the versions of all datasets, the oldest first."""
    yield from s.scalars(select(DatasetVersion).order_by(DatasetVersion.id))


def sound(s: Session) -> Iterator[DatasetVersion]:
    """Yield every version that is as it was recorded, the last one that was made first."""
    for key in s.scalars(select(DatasetVersion.id).order_by(DatasetVersion.id.desc())).all():
        with suppress(DamagedError):  # doctor tells of it; it keeps no other from its turn
            version = s.get_one(DatasetVersion, key)
            refuse_edited(version, None)  # it may be in the session by an earlier attempt
            yield version


def outline(s: Session) -> list[DatasetVersion]:
    """Return every version without its rules and profile, which are large."""
    heavy = (defer(DatasetVersion.schema_yaml), defer(DatasetVersion.profile))
    query = select(DatasetVersion).join(Dataset).options(*heavy)
    return list(s.scalars(query.order_by(Dataset.name, DatasetVersion.number)))


def made(s: Session, dataset_id: int) -> dict[int, Made]:
    """Return what each version of a dataset was made of, by number, and nothing that is large."""
    query = select(
        DatasetVersion.number,
        DatasetVersion.parents,
        DatasetVersion.transformation["kind"].as_string(),
    )
    found = s.execute(query.where(DatasetVersion.dataset_id == dataset_id))
    return {number: Made(tuple(parents), kind) for number, parents, kind in found}


def blobs(s: Session) -> set[str]:
    """Return the digest of every file that a version needs: its rows, and what they are made from.

    A collected version needs its rows no more, but what it can be made again from.
    """
    held = select(DatasetVersion.sha256).where(DatasetVersion.collected_at.is_(None))
    made = s.scalars(select(DatasetVersion.transformation))
    return {*s.scalars(held), *(str(each["picked"]) for each in made if "picked" in each)}


def next_number(s: Session, dataset: Dataset) -> int:
    """Return the number that the next version gets."""
    query = select(func.max(cast(DatasetVersion.number, Integer))).where(
        DatasetVersion.dataset_id == dataset.id
    )
    return (s.scalar(query) or 0) + 1
