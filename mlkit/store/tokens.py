"""Access tokens of the server: only their digests are stored."""

import hashlib
from datetime import datetime
from typing import Literal, NamedTuple

from sqlalchemy import JSON, String, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from mlkit.errors import NotFoundError
from mlkit.store.base import Base, UtcDateTime

PREFIX = "mlkit"

Scope = Literal["predict", "read", "admin"]


class Token(Base):
    """One token; the secret itself is shown once, at creation."""

    __tablename__ = "token"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    scope: Mapped[str] = mapped_column(String(16))
    sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    models: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    rate: Mapped[int | None]
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Secret(NamedTuple):
    """The data for checking a token.

    ``models`` is None for all of them, ``rate`` in requests a second or None for the project's;
    ``place`` is its index among all tokens ever created.
    """

    id: str
    name: str
    scope: str
    sha256: str
    models: frozenset[str] | None
    rate: int | None
    expires_at: datetime | None
    place: int


def spell(identifier: str, secret: str) -> str:
    """Return the token text that a client sends: recognisable to secret scanners, id first.

    >>> spell("ab12", "s3cr3t")
    'mlkit_ab12_s3cr3t'
    """
    return f"{PREFIX}_{identifier}_{secret}"


def id_of(text: str) -> str:
    """Return the public id in a token text, empty if it is no token.

    >>> id_of("mlkit_ab12_s3cr3t"), id_of("anything else")
    ('ab12', '')
    """
    prefix, _, rest = text.partition("_")
    return rest.partition("_")[0] if prefix == PREFIX else ""


def digest(text: str) -> str:
    """Return the stored digest of a token: 256 random bits need no slow hash."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def active(s: Session) -> list[Secret]:
    """Return the tokens that have not been revoked, including expired ones."""
    return [
        Secret(
            token.id,
            token.name,
            token.scope,
            token.sha256,
            None if token.models is None else frozenset(token.models),
            token.rate,
            token.expires_at,
            place,
        )
        for place, token in enumerate(list_all(s))
        if token.revoked_at is None
    ]


def record_use(s: Session, identifier: str, at: datetime) -> None:
    """Record the last use of a token."""
    s.execute(update(Token).where(Token.id == identifier).values(last_used_at=at))


def list_all(s: Session) -> list[Token]:
    """Return all tokens, also revoked ones, oldest first."""
    return list(s.scalars(select(Token).order_by(Token.created_at, Token.id)))


def revoke(s: Session, identifier: str, at: datetime) -> Token:
    """Revoke a token; raises NotFoundError if no such token is active."""
    changed = s.scalars(
        update(Token)
        .where(Token.id == identifier, Token.revoked_at.is_(None))
        .values(revoked_at=at)
        .returning(Token)
    ).first()
    if changed is None:
        raise NotFoundError(f"no active token has the id '{identifier}' (see: mlkit token list)")
    return changed
