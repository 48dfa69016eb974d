"""The rights of a request, by its token."""

from typing import NamedTuple

from mlkit.store import tokens


class Rights(NamedTuple):
    """What a request may do and see: for every model, or for those in ``models``.

    ``owner`` is the id of the token; empty for all clients without one.
    """

    owner: str
    scope: str
    models: frozenset[str] | None

    def sees(self, model: str) -> bool:
        """Tell whether the rights cover ``model``."""
        return self.models is None or model in self.models

    @property
    def whole(self) -> bool:
        """Whether the rights cover every model, and thus also what concerns no single model."""
        return self.models is None


UNRESTRICTED = Rights("", "admin", None)
ANONYMOUS = Rights("", "health", frozenset())


def of(token: tokens.Secret) -> Rights:
    """Return the rights of a token; scope admin covers every model."""
    return Rights(token.id, token.scope, None if token.scope == "admin" else token.models)


def label(token: tokens.Secret) -> str:
    """Return the unique label of a token for logs and records; its name may not be unique."""
    return f"{token.name}:{token.id}"
