"""Create, list and revoke the tokens that open the server."""

import secrets
from datetime import datetime

import msgspec
from sqlalchemy.orm import Session

from mlkit import names
from mlkit.project import Project
from mlkit.store import audit, tokens
from mlkit.store.tokens import Scope, Token

_ID_BYTES = 4
_SECRET_BYTES = 32


class Created(msgspec.Struct, frozen=True, kw_only=True):
    """A new token; ``token`` is shown this once and kept nowhere."""

    id: str
    name: str
    scope: str
    token: str


class TokenInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a token without its secret."""

    id: str
    name: str
    scope: str
    created_at: datetime
    revoked_at: datetime | None


def create(project: Project, name: str, *, scope: Scope = "predict") -> Created:
    """Make a token; only its digest is stored."""
    names.check("token", name)
    identifier = secrets.token_hex(_ID_BYTES)
    text = tokens.spell(identifier, secrets.token_urlsafe(_SECRET_BYTES))
    now = project.now()
    with project.write() as s:
        s.add(
            Token(
                id=identifier,
                name=name,
                scope=scope,
                sha256=tokens.digest(text),
                created_at=now,
            )
        )
        _record(project, s, "token-create", identifier, name, scope)
    return Created(id=identifier, name=name, scope=scope, token=text)


def list_tokens(project: Project) -> list[TokenInfo]:
    """Return every token, also revoked ones, oldest first."""
    with project.read() as s:
        return [_info(token) for token in tokens.list_all(s)]


def revoke(project: Project, identifier: str) -> TokenInfo:
    """End a token; running servers refuse it within a second. Raises NotFoundError."""
    with project.write() as s:
        token = tokens.revoke(s, identifier, project.now())
        _record(project, s, "token-revoke", identifier, token.name, token.scope)
        return _info(token)


def _info(token: Token) -> TokenInfo:
    return TokenInfo(
        id=token.id,
        name=token.name,
        scope=token.scope,
        created_at=token.created_at,
        revoked_at=token.revoked_at,
    )


def _record(
    project: Project, s: Session, action: str, identifier: str, name: str, scope: str
) -> None:
    audit.record(
        s,
        project.now(),
        actor=project.actor,
        action=action,
        subject=f"token {identifier}",
        details={"name": name, "scope": scope},
    )
