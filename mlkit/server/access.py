"""Who may ask: the Host header, and bearer tokens with their scopes."""

import hmac
import ipaddress
import socket

from mlkit.errors import ConflictError
from mlkit.project import Project
from mlkit.server.problems import RefusedError
from mlkit.server.wire import Environ
from mlkit.store import tokens

_REALM = [("WWW-Authenticate", 'Bearer realm="mlkit"')]


class Guard:
    """Check requests against the tokens of a project, as they were at the last ``refresh``."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._tokens: dict[str, tokens.Secret] = {}
        names = ("localhost", socket.gethostname(), *project.settings.server.allowed_hosts)
        self._hosts = {name.lower().rstrip(".") for name in names}

    def refresh(self) -> None:
        """Read the tokens anew, so that a revoked one is refused from now on."""
        with self._project.read() as s:
            self._tokens = {token.id: token for token in tokens.active(s)}

    def check(self, environ: Environ, scope: str) -> None:
        """Raise RefusedError unless the request may do what ``scope`` allows.

        A project without tokens trusts everyone who can reach it: ``serve`` then listens on
        loopback only. With the first token, every request needs one.
        """
        self._check_host(environ)
        sent = str(environ.get("HTTP_AUTHORIZATION") or "")
        if not self._tokens and not sent:
            return
        kind, _, text = sent.partition(" ")
        if kind.lower() != "bearer" or not text.strip():
            raise RefusedError(401, "send a token: 'Authorization: Bearer TOKEN'", _REALM)
        token = self._find(text.strip())
        if token is None:
            raise RefusedError(
                401, "the token is unknown or revoked (see: mlkit token list)", _REALM
            )
        if scope != token.scope and token.scope != "admin":
            raise RefusedError(403, f"this token has scope {token.scope}; this needs scope {scope}")

    def _find(self, text: str) -> tokens.Secret | None:
        token = self._tokens.get(tokens.id_of(text))
        known = token.sha256 if token else "0" * 64
        right = hmac.compare_digest(tokens.digest(text), known)
        return token if right else None

    def _check_host(self, environ: Environ) -> None:
        """Refuse names that are not ours: a web page whose name points at 127.0.0.1 (rebinding).

        An address cannot be pointed elsewhere, so any is fine.
        """
        host = _without_port(str(environ.get("HTTP_HOST") or ""))
        if host.lower().rstrip(".") in self._hosts or _is_address(host):
            return
        raise RefusedError(
            403, f"this server does not answer for host '{host[:100]}' (see: server.allowed_hosts)"
        )


def refuse_open_door(project: Project, host: str) -> None:
    """Raise ConflictError if ``host`` can be reached from outside and no token exists."""
    if host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback):
        return
    with project.read() as s:
        if tokens.active(s):
            return
    raise ConflictError(
        f"{host} can be reached from other machines and there is no token; make one first: "
        "mlkit token create NAME (or serve on 127.0.0.1)"
    )


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
