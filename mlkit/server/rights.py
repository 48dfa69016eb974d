"""What a request may do and see, by the token that it came with."""

from typing import NamedTuple

from mlkit.store import tokens


class Rights(NamedTuple):
    """What a request may do and see: of every model, or of those in ``models``.

    ``owner`` is the id of the token, or empty: all who need none are one.
    """

    owner: str
    scope: str
    models: frozenset[str] | None

    def sees(self, model: str) -> bool:
        """Tell whether ``model`` is among its models."""
        return self.models is None or model in self.models

    @property
    def whole(self) -> bool:
        """Whether it sees every model, and so what is about none of them."""
        return self.models is None


EVERYONE = Rights("", "admin", None)
STRANGER = Rights("", "health", frozenset())


def of(token: tokens.Secret) -> Rights:
    """Return what a token opens; one of scope admin opens every model."""
    return Rights(token.id, token.scope, None if token.scope == "admin" else token.models)


def label(token: tokens.Secret) -> str:
    """Return how a token is called in logs and records, where names may be there twice."""
    return f"{token.name}:{token.id}"
