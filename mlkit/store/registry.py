"""Models and their versions; which of them is champion is in ``deployments``."""

from datetime import datetime
from typing import Any, Final, NamedTuple, TypedDict

from sqlalchemy import (
    JSON,
    ForeignKey,
    Integer,
    String,
    UniqueConstraint,
    cast,
    event,
    func,
    select,
)
from sqlalchemy.orm import Mapped, Session, attributes, mapped_column, relationship

from mlkit.errors import DamagedError, NotFoundError, unknown
from mlkit.store import datasets
from mlkit.store.base import Base, UtcDateTime
from mlkit.store.datasets import DatasetVersion
from mlkit.store.dialects import json_columns


class Model(Base):
    """A named prediction task with versions."""

    __tablename__ = "model"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    task: Mapped[str] = mapped_column(String(16))
    target: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    versions: Mapped[list["ModelVersion"]] = relationship(
        back_populates="model", order_by="ModelVersion.number"
    )


class ModelVersion(Base):
    """One immutable trained model, with what is needed to verify, explain and rebuild it."""

    __tablename__ = "model_version"
    __table_args__ = (UniqueConstraint("model_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"))
    number: Mapped[int]
    artifact_sha256: Mapped[str] = mapped_column(String(64))
    signature: Mapped[str] = mapped_column(String(64))
    reference_sha256: Mapped[str] = mapped_column(String(64))
    estimation_sha256: Mapped[str | None] = mapped_column(String(64))
    input_schema: Mapped[dict[str, Any]] = mapped_column(JSON)
    estimator: Mapped[str]
    recipe: Mapped[dict[str, Any]] = mapped_column(JSON)
    params: Mapped[dict[str, Any]] = mapped_column(JSON)
    metrics: Mapped[dict[str, Any]] = mapped_column(JSON)
    intervals: Mapped[dict[str, Any]] = mapped_column(JSON)
    slices: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    holdout_rows: Mapped[int]
    warnings: Mapped[list[str]] = mapped_column(JSON)
    golden: Mapped[dict[str, Any]] = mapped_column(JSON)
    verdict: Mapped[dict[str, Any]] = mapped_column(JSON)
    dataset_version_id: Mapped[int] = mapped_column(ForeignKey("dataset_version.id"))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("model_version.id"))
    code_commit: Mapped[str | None]
    code: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    python: Mapped[str]
    packages: Mapped[dict[str, str]] = mapped_column(JSON)
    seed: Mapped[int]
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    model: Mapped[Model] = relationship(back_populates="versions", lazy="joined")
    dataset_version: Mapped[DatasetVersion] = relationship(lazy="joined")

    def label(self) -> str:
        """Return the display name, for example ``churn v3``."""
        return f"{self.model.name} v{self.number}"


class _Verdict(TypedDict, total=False):
    accepted: bool
    reason: str


class _Code(TypedDict, total=False):
    files: dict[str, str]
    not_kept: dict[str, str]
    libraries: list[str]


class _Params(TypedDict, total=False):
    backend: dict[str, Any]
    estimator: dict[str, Any]


_RECORDED: Final[dict[str, Any]] = {
    **dict.fromkeys(("number", "holdout_rows", "seed"), int),
    **dict.fromkeys(("estimator", "python", "created_by"), str),
    **dict.fromkeys(("input_schema", "recipe", "golden"), dict[str, Any]),
    "slices": dict[str, Any] | None,
    "code": _Code | None,
    "params": _Params,
    "metrics": dict[str, float | None],
    "intervals": dict[str, tuple[float | None, float | None]],
    "verdict": _Verdict,
    "packages": dict[str, str],
    "warnings": list[str],
}


@event.listens_for(ModelVersion, "load")
def _refuse_edited(version: ModelVersion, _context: object) -> None:
    """Raise DamagedError for a row with values of a type that no release wrote.

    Non-finite metrics, which release 0.1 wrote as such, are read as null.
    """
    json_columns.refuse_edited(version, _RECORDED)
    for name in {"metrics", "intervals"} & vars(version).keys():
        found = json_columns.finite(vars(version)[name])
        attributes.set_committed_value(version, name, found)


def find_model(s: Session, name: str) -> Model | None:
    """Return the model, or None."""
    return s.scalar(select(Model).where(Model.name == name))


def get_model(s: Session, name: str) -> Model:
    """Return the model; raises NotFoundError with the names that exist."""
    model = find_model(s, name)
    if model is None:
        names = list(s.scalars(select(Model.name).order_by(Model.name)))
        raise unknown("model", name, names, "mlkit model list")
    return model


def list_models(s: Session) -> list[Model]:
    """Return all models by name."""
    return list(s.scalars(select(Model).order_by(Model.name)))


def get_version(s: Session, model: Model, number: int) -> ModelVersion:
    """Return version ``number``; raises NotFoundError with the numbers that exist."""
    query = select(ModelVersion).where(
        ModelVersion.model_id == model.id, ModelVersion.number == number
    )
    version = s.scalar(query)
    if version is None:
        known = ", ".join(str(v.number) for v in model.versions) or "none yet"
        raise NotFoundError(
            f"model '{model.name}' has no version {number}; known: {known} "
            f"(see: mlkit model show {model.name})"
        )
    return version


def versions(s: Session, model: Model) -> list[ModelVersion]:
    """Return every version of the model, oldest first."""
    query = select(ModelVersion).where(ModelVersion.model_id == model.id)
    return list(s.scalars(query.order_by(ModelVersion.number)))


def version_ids(s: Session) -> list[int]:
    """Return the primary keys of all versions, oldest first, without reading the rows."""
    return list(s.scalars(select(ModelVersion.id).order_by(ModelVersion.id)))


def taught_by(s: Session, dataset_id: int) -> list[int]:
    """Return the ids of the models trained on any version of a dataset."""
    query = select(ModelVersion.model_id).join(ModelVersion.dataset_version)
    return list(s.scalars(query.where(DatasetVersion.dataset_id == dataset_id).distinct()))


def version_counts(s: Session) -> dict[int, int]:
    """Return the number of versions by model id."""
    query = select(ModelVersion.model_id, func.count()).group_by(ModelVersion.model_id)
    return {row[0]: row[1] for row in s.execute(query)}


class Outline(NamedTuple):
    """A version and its training data, without the large columns."""

    id: int
    model: str
    number: int
    dataset_version_id: int
    estimator: str
    created_at: datetime


def outline(s: Session) -> list[Outline]:
    """Return every version of every model, by model and number."""
    query = select(
        ModelVersion.id,
        Model.name,
        ModelVersion.number,
        ModelVersion.dataset_version_id,
        ModelVersion.estimator,
        ModelVersion.created_at,
    ).join(Model, Model.id == ModelVersion.model_id)
    rows = s.execute(query.order_by(Model.name, ModelVersion.number))
    return [Outline(*row) for row in rows]


def lock(s: Session, model: Model) -> None:
    """Lock ``model``: no other transaction can deploy or number its versions until this one ends.

    A row lock if the database has these; on SQLite the write lock is already held.
    """
    s.execute(select(Model.id).where(Model.id == model.id).with_for_update())


def next_number(s: Session, model: Model) -> int:
    """Return the number that the next version gets."""
    query = select(func.max(cast(ModelVersion.number, Integer))).where(
        ModelVersion.model_id == model.id
    )
    return (s.scalar(query) or 0) + 1


def readable(s: Session, key: int) -> ModelVersion | DamagedError:
    """Return a version, or the error if its row is damaged.

    Rows are read one by one, so that a damaged one does not affect the others.
    """
    try:
        found = s.get_one(ModelVersion, key)
        _refuse_edited(found, None)  # an earlier attempt may have cached it in the session
        datasets.refuse_edited(found.dataset_version, None)
    except DamagedError as error:
        return error
    return found
