"""Named baselines: profiles of a period of a model's log, references for later windows.

The profile itself is a file that the row names.
"""

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from mlkit.errors import unknown
from mlkit.store.base import Base, UtcDateTime
from mlkit.store.registry import Model


class Baseline(Base):
    """A profile of the log in one period, with the predictions of version ``answers_of``."""

    __tablename__ = "baseline"
    __table_args__ = (UniqueConstraint("model_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"))
    name: Mapped[str] = mapped_column(String(64))
    window_start: Mapped[datetime] = mapped_column(UtcDateTime)
    window_end: Mapped[datetime] = mapped_column(UtcDateTime)
    rows: Mapped[int]
    versions: Mapped[list[int]] = mapped_column(JSON)
    answers_of: Mapped[int | None]
    sha256: Mapped[str] = mapped_column(String(64))
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    model: Mapped[Model] = relationship(lazy="joined")


def find(s: Session, model: Model, name: str) -> Baseline | None:
    """Return the baseline of a model, or None."""
    return s.scalar(select(Baseline).where(Baseline.model_id == model.id, Baseline.name == name))


def get(s: Session, model: Model, name: str) -> Baseline:
    """Return the baseline of a model; raises NotFoundError with the names that exist."""
    found = find(s, model, name)
    if found is None:
        known = [baseline.name for baseline in of_model(s, model)]
        raise unknown(f"baseline of {model.name}", name, known, "mlkit drift baseline list")
    return found


def of_model(s: Session, model: Model) -> list[Baseline]:
    """Return the baselines of a model by name."""
    query = select(Baseline).where(Baseline.model_id == model.id)
    return list(s.scalars(query.order_by(Baseline.name)))


def list_all(s: Session) -> list[Baseline]:
    """Return the baselines of all models, by model and name."""
    query = select(Baseline).join(Model, Model.id == Baseline.model_id)
    return list(s.scalars(query.order_by(Model.name, Baseline.name)))
