"""Deployments: which version has which role since when."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import JSON, ForeignKey, Index, String, func, select, text, update
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from mlkit.errors import DamagedError
from mlkit.store import registry
from mlkit.store.base import Base, UtcDateTime
from mlkit.store.registry import Model, ModelVersion


class Deployment(Base):
    """A version in a role from ``started_at`` until ``ended_at``; rows are never removed."""

    __tablename__ = "deployment"
    __table_args__ = (
        Index(
            "uq_deployment_current_champion",
            "model_id",
            unique=True,
            sqlite_where=text("role = 'champion' AND ended_at IS NULL"),
            postgresql_where=text("role = 'champion' AND ended_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"))
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_version.id"))
    role: Mapped[str] = mapped_column(String(16))
    share: Mapped[float] = mapped_column(default=1.0)  # always 1; the audit trail covers it
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    action: Mapped[str] = mapped_column(String(16))
    actor: Mapped[str]
    reason: Mapped[str]
    evidence: Mapped[dict[str, Any]] = mapped_column(JSON)

    version: Mapped[ModelVersion] = relationship(lazy="joined")


class Served(NamedTuple):
    """A deployment without its evidence, the large column."""

    id: int
    model_id: int
    model_version_id: int
    role: str
    started_at: datetime
    ended_at: datetime | None


def outline(s: Session) -> list[Served]:
    """Return every deployment of every model, oldest first."""
    query = select(
        Deployment.id,
        Deployment.model_id,
        Deployment.model_version_id,
        Deployment.role,
        Deployment.started_at,
        Deployment.ended_at,
    )
    return [Served(*row) for row in s.execute(query.order_by(Deployment.id))]


def champion(s: Session, model: Model) -> Deployment | None:
    """Return the deployment of the serving champion, or None before the first promotion."""
    query = select(Deployment).where(
        Deployment.model_id == model.id,
        Deployment.role == "champion",
        Deployment.ended_at.is_(None),
    )
    return s.scalar(query)


def champions(s: Session) -> list[Deployment]:
    """Return the deployment of every undamaged champion, by model name; see ``damaged``."""
    found = (_readable(s, key) for key in champion_ids(s).values())
    return [each for each in found if isinstance(each, Deployment)]


def damaged(s: Session) -> dict[str, str]:
    """Return the errors of the damaged champions, by model name."""
    found = {name: _readable(s, key) for name, key in champion_ids(s).items()}
    return {name: str(each) for name, each in found.items() if isinstance(each, DamagedError)}


def champion_ids(s: Session) -> dict[str, int]:
    """Return the deployment id of every champion, by model name, without reading a version."""
    query = select(Model.name, Deployment.id).join(Deployment, Model.id == Deployment.model_id)
    current = query.where(Deployment.role == "champion", Deployment.ended_at.is_(None))
    return {row[0]: row[1] for row in s.execute(current.order_by(Model.name))}


def _readable(s: Session, key: int) -> Deployment | DamagedError:
    try:
        found = s.get_one(Deployment, key)
    except DamagedError as error:
        return error
    version = registry.readable(s, found.model_version_id)
    return version if isinstance(version, DamagedError) else found


def of_model(s: Session, model: Model) -> list[Deployment]:
    """Return every deployment of the model, oldest first."""
    query = select(Deployment).where(Deployment.model_id == model.id).order_by(Deployment.id)
    return list(s.scalars(query))


def start(s: Session, deployment: Deployment) -> None:
    """End the present deployment in the role and start ``deployment``, so that one is active."""
    s.execute(
        update(Deployment)
        .where(
            Deployment.model_id == deployment.model_id,
            Deployment.role == deployment.role,
            Deployment.ended_at.is_(None),
        )
        .values(ended_at=deployment.started_at)
    )
    s.add(deployment)
    s.flush()


def generation(s: Session) -> int:
    """Return a number that changes with every deployment, polled by servers."""
    return s.scalar(select(func.max(Deployment.id))) or 0
