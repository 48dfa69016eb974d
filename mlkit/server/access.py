"""Access control: the Host and Origin headers, tokens and their rights, rate limits."""

import hmac
import ipaddress
import math
import socket
import time
from datetime import datetime
from urllib.parse import urlsplit

from mlkit.errors import ConflictError
from mlkit.project import Project
from mlkit.server import rights
from mlkit.server.limits import Failures, Limits
from mlkit.server.problems import RefusedError
from mlkit.server.request_log import TOKEN, printable
from mlkit.server.rights import ANONYMOUS, UNRESTRICTED, Rights
from mlkit.server.wire import Environ
from mlkit.store import tokens

PUBLIC = frozenset(
    ("GET", path)
    for path in ("/livez", "/readyz", "/ping", "/health", "/v2/health/live", "/v2/health/ready")
)

_REALM = [("WWW-Authenticate", 'Bearer realm="mlkit"')]
_BUCKETS = 4_096  # more tokens than a small team ever makes
_MOST_CACHED_HOSTS = 1_000


class AccessControl:
    """Check requests against the tokens of a project as of the last ``refresh``."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._tokens: dict[str, tokens.Secret] = {}
        self._rate = project.settings.server.rate
        self._limits = Limits(project.state_dir / "limits", _BUCKETS)
        self._failures = Failures(project.settings.server.max_failures)
        self._used: dict[str, datetime] = {}
        self._read_at = -math.inf
        self._max_age_s = math.inf
        names = ("localhost", socket.gethostname(), *project.settings.server.allowed_hosts)
        self._names = {name.lower().rstrip(".") for name in names}
        self._good_hosts: set[str] = set()

    def refresh(self) -> None:
        """Read the tokens again, so that a revoked one is refused from now on."""
        began = time.monotonic()
        with self._project.read() as s:
            self._tokens = {token.id: token for token in tokens.active(s)}
        self._read_at = began

    def expire(self) -> None:
        """From now on, refuse all requests while the last ``refresh`` is too old to be trusted."""
        self._max_age_s = self._project.settings.server.tokens_max_age_s

    @property
    def trouble(self) -> str:
        """Why this worker's rate limits are not shared with the others, "" if they are."""
        if not self._limits.alone:
            return ""
        return f"each worker counts the requests of a token by itself ({self._limits.alone})"

    @property
    def stale(self) -> str:
        """Why every request is refused at present, "" if the tokens are up to date."""
        age_s = time.monotonic() - self._read_at
        if age_s <= self._max_age_s:
            return ""
        since = "since the start" if age_s == math.inf else f"for {age_s:.0f} s"
        return (
            f"the tokens could not be read {since}, and one may have been revoked or made: nothing "
            f"is answered until they are (server.tokens_max_age_s is {self._max_age_s:g})"
        )

    def note_use(self) -> None:
        """Record in the database which tokens have been used since the last call."""
        if not self._used:
            return
        used, self._used = self._used, {}
        try:
            with self._project.write() as s:
                for identifier, at in used.items():
                    tokens.record_use(s, identifier, at)
        except BaseException:  # the next call tries again
            self._used = {**used, **self._used}
            raise

    def check(self, environ: Environ, *scopes: str, model: str | None = None) -> Rights:
        """Return the rights of a request.

        Raises RefusedError unless its token has one of ``scopes`` and covers ``model``. A project
        without tokens trusts every client that can reach it: ``serve`` then listens on loopback
        only. As soon as there is one token, every request needs one.
        """
        self._check_host(str(environ.get("HTTP_HOST") or ""))
        if environ["REQUEST_METHOD"] != "GET":
            self._check_origin(environ)
        if time.monotonic() - self._read_at > self._max_age_s:
            raise RefusedError(503, self.stale, [("Retry-After", "1")])
        sent = str(environ.get("HTTP_AUTHORIZATION") or "")
        if not self._tokens and not sent:
            return UNRESTRICTED
        token = self._find(sent, environ)
        self._check_rights(token, scopes, model)
        return rights.of(token)

    def identify(self, environ: Environ) -> Rights:
        """Return the rights of a health check, which needs no token.

        A client without a valid token gets ``ANONYMOUS``. Raises RefusedError 403 for a foreign
        Host header. A missing one is accepted, because some load balancers send none; browsers
        always send one.
        """
        host = environ.get("HTTP_HOST")
        if host:
            self._check_host(str(host))
        sent = str(environ.get("HTTP_AUTHORIZATION") or "")
        if not self._tokens and not sent:
            return UNRESTRICTED
        if not sent:
            return ANONYMOUS
        try:
            return rights.of(self._find(sent, environ))
        except RefusedError:  # a wrong token must not make a healthy server look dead
            return ANONYMOUS

    def check_host(self, environ: Environ) -> None:
        """Raise RefusedError 403 for a foreign Host header: the check for paths without a route.

        A redirect or a 404 would tell a page of another site that this server exists.
        """
        self._check_host(str(environ.get("HTTP_HOST") or ""))

    def _check_rights(
        self, token: tokens.Secret, scopes: tuple[str, ...], model: str | None
    ) -> None:
        if token.scope != "admin":
            if token.scope not in scopes:
                raise RefusedError(
                    403,
                    f"this token has scope {token.scope}; this needs scope {scopes[0]}",
                    why=f"scope {token.scope}, needs {scopes[0]}",
                )
            if token.models is not None and model is not None and model not in token.models:
                raise RefusedError(
                    403,
                    f"this token is for {', '.join(sorted(token.models))} and nothing else",
                    why="the token is for other models",
                )
        rate = token.rate or self._rate
        wait_s = self._limits.take(token.place, rate) if rate else 0.0
        if wait_s:
            raise _too_often(
                f"more than {rate} requests a second with this token", wait_s, "rate of the token"
            )
        self._used[token.id] = self._project.now()

    def _find(self, sent: str, environ: Environ) -> tokens.Secret:
        """Return the token in the Authorization header; raises RefusedError 401 or 429."""
        kind, _, text = sent.partition(" ")
        text = text.strip()
        if kind.lower() != "bearer" or not text:
            raise RefusedError(
                401, "send a token: 'Authorization: Bearer TOKEN'", _REALM, why="no token"
            )
        token = self._tokens.get(tokens.id_of(text))
        known = token.sha256 if token else "0" * 64
        right = hmac.compare_digest(tokens.digest(text), known)
        if token is not None and right:
            environ[TOKEN] = rights.label(token)
            if token.expires_at is None or token.expires_at > self._project.now():
                return token
            raise RefusedError(
                401, f"the token expired at {token.expires_at:%FT%TZ}", _REALM, why="expired token"
            )
        wait_s = self._failures.count(str(environ.get("REMOTE_ADDR") or ""))
        if wait_s:
            text = "too many wrong tokens from this address"
            raise _too_often(text, wait_s, "too many wrong tokens")
        raise RefusedError(
            401,
            "the token is unknown or revoked (see: mlkit token list)",
            _REALM,
            why="unknown or revoked token",
        )

    def _check_host(self, header: str) -> None:
        """Refuse foreign host names: a web page whose name resolves to 127.0.0.1 (DNS rebinding).

        IP addresses cannot be rebound, so any is accepted.
        """
        if header in self._good_hosts:
            return
        host = _without_port(header)
        if not self._is_ours(host) and not _is_address(host):
            raise RefusedError(
                403,
                f"this server does not answer for host '{host[:100]}' (see: server.allowed_hosts)",
                why=f"host {printable(host, 100)}",
            )
        if len(self._good_hosts) < _MOST_CACHED_HOSTS:
            self._good_hosts.add(header)

    def _check_origin(self, environ: Environ) -> None:
        """Refuse cross-site requests of a browser; other clients send neither of these headers."""
        site = environ.get("HTTP_SEC_FETCH_SITE")
        origin = environ.get("HTTP_ORIGIN")
        if site is None and origin is None:
            return
        if origin is not None and not self._is_own_origin(str(origin), environ):
            raise _of_another_site(f"a page of {str(origin)[:100]}")
        if origin is None and site not in ("same-origin", "none"):
            raise _of_another_site(f"a {str(site)[:20]} page")

    def _is_own_origin(self, origin: str, environ: Environ) -> bool:
        try:
            found = urlsplit(origin)
            host = found.hostname or ""
        except ValueError:
            return False
        if found.netloc and found.netloc == environ.get("HTTP_HOST"):
            return True
        return host.lower().rstrip(".") in self._project.settings.server.allowed_hosts

    def _is_ours(self, host: str) -> bool:
        return host.lower().rstrip(".") in self._names


def refuse_unprotected(project: Project, host: str) -> None:
    """Raise ConflictError if ``host`` can be reached from outside and no token exists."""
    if host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback):
        return
    if project.settings.server.trust_network:
        return
    with project.read() as s:
        if tokens.active(s):
            return
    raise ConflictError(
        f"{host} can be reached from other machines and there is no token; make one first: "
        "mlkit token create NAME (or serve on 127.0.0.1; or, where nobody but a platform that "
        "checks its clients can reach this machine, set server.trust_network)"
    )


def _of_another_site(page: str) -> RefusedError:
    return RefusedError(403, f"{page} may not ask this server", why="page of another site")


def _too_often(text: str, wait_s: float, why: str) -> RefusedError:
    seconds = max(1, math.ceil(wait_s))
    headers = [("Retry-After", str(seconds))]
    return RefusedError(429, f"{text}; try again in {seconds} s", headers, why=why)


def _without_port(host: str) -> str:
    """Return the host of a Host header without its port, or the header if it is malformed."""
    if host.startswith("["):
        address, _, rest = host[1:].partition("]")
    elif host.count(":") == 1:
        address, _, rest = host.partition(":")
        rest = f":{rest}"
    else:
        return host
    return address if not rest or (rest[0] == ":" and rest[1:].isdecimal()) else host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
