"""Create, list and revoke access tokens of the server."""

import secrets
from collections.abc import Sequence
from datetime import datetime

import msgspec

from mlkit import names
from mlkit.errors import InvalidInputError
from mlkit.project import Project, Session
from mlkit.settings.table import duration
from mlkit.store import audit, registry, tokens
from mlkit.store.tokens import Scope, Token

_ID_BYTES = 4
_SECRET_BYTES = 32


class Created(msgspec.Struct, frozen=True, kw_only=True):
    """A new token; ``token``, the secret, is shown only once and not stored."""

    id: str
    name: str
    scope: str
    token: str


class TokenInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The properties of a token without its secret."""

    id: str
    name: str
    scope: str
    models: list[str] | None
    rate: int | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


def create(
    project: Project,
    name: str,
    *,
    scope: Scope = "predict",
    models: Sequence[str] = (),
    expires: str | None = None,
    rate: int | None = None,
) -> Created:
    """Create a token; only its digest is stored.

    It is valid for ``models``, or all if there are none, for the duration ``expires``, and for
    ``rate`` requests a second. Raises NotFoundError for an unknown model.
    """
    names.check("token", name)
    if models and scope == "admin":
        raise InvalidInputError("a token of scope admin opens every model; leave --model out")
    end = None if expires is None else project.now() + duration(expires)
    identifier = secrets.token_hex(_ID_BYTES)
    text = tokens.spell(identifier, secrets.token_urlsafe(_SECRET_BYTES))
    now = project.now()
    with project.write() as s:
        for model in models:
            registry.get_model(s, model)
        s.add(
            Token(
                id=identifier,
                name=name,
                scope=scope,
                sha256=tokens.digest(text),
                models=sorted(set(models)) or None,
                rate=rate,
                created_at=now,
                expires_at=end,
            )
        )
        _record(project, s, "token-create", identifier, name, scope)
    return Created(id=identifier, name=name, scope=scope, token=text)


def list_tokens(project: Project) -> list[TokenInfo]:
    """Return all tokens, also revoked ones, oldest first."""
    with project.read() as s:
        return [_info(token) for token in tokens.list_all(s)]


def revoke(project: Project, identifier: str) -> TokenInfo:
    """Revoke a token; running servers refuse it within a second. Raises NotFoundError."""
    with project.write() as s:
        token = tokens.revoke(s, identifier, project.now())
        audit.touch(s, token)
        _record(project, s, "token-revoke", identifier, token.name, token.scope)
        return _info(token)


def _info(token: Token) -> TokenInfo:
    return TokenInfo(
        id=token.id,
        name=token.name,
        scope=token.scope,
        models=token.models,
        rate=token.rate,
        created_at=token.created_at,
        expires_at=token.expires_at,
        last_used_at=token.last_used_at,
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
