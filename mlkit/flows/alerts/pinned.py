"""One HTTP request to a checked address: the name is resolved once, checked, and connected to.

A second look-up after the check could give another address (DNS rebinding). No redirect is
followed, no proxy is used, and the whole exchange has one deadline.
"""

import ipaddress
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Final, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

_PORTS: Final = {"http": 80, "https": 443}
_METADATA: Final = frozenset(  # metadata services of clouds that are not at link-local addresses
    map(
        ipaddress.ip_address,
        (
            "fd00:ec2::254", "fd20:ce::254", "fd00:42::42", "100.100.100.200", "168.63.129.16",
            "192.0.0.192",
        ),
    )
)  # fmt: skip

_LAST_FOUR: Final = tuple(  # networks whose last four bytes are an IPv4 address
    map(IPv6Network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96"))
)
_LOCAL_NAT64: Final = IPv6Network("64:ff9b:1::/48")
_ISATAP: Final = (bytes.fromhex("00005efe"), bytes.fromhex("02005efe"))


class UnreachableError(OSError):
    """There is no connection; the text says why."""


class AnsweredError(OSError):
    """The answer has a status other than 2xx."""

    def __init__(self, status: int) -> None:
        hint = "; redirects are not followed" if 300 <= status < 400 else ""
        super().__init__(f"answered {status}{hint}")


class Body(NamedTuple):
    """The body of a request and the headers that describe it."""

    content: bytes
    headers: Mapping[str, str]


def post(url: str, body: Body, *, timeout_s: float) -> None:
    """Send ``body``; raises UnreachableError, AnsweredError, ValueError, HTTPException."""
    _ask("POST", url, body, timeout_s)


def get(url: str, *, timeout_s: float) -> None:
    """Send a GET request; raises as ``post`` does."""
    _ask("GET", url, Body(b"", {}), timeout_s)


def refuse(address: str) -> None:
    """Raise UnreachableError for an address that cannot be a legitimate receiver.

    These are link-local addresses (where a cloud hands out its credentials), multicast and
    unspecified ones. Private and loopback addresses are allowed, because the URL is from the
    operator's own settings.

    >>> refuse("10.0.0.7"), refuse("127.0.0.1"), refuse("2606:4700::1111")
    (None, None, None)
    >>> refuse("169.254.169.254")
    Traceback (most recent call last):
    mlkit.flows.alerts.pinned.UnreachableError: 169.254.169.254 is no address to send anything to
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    for seen in (found, *_within(found)):
        if seen.is_link_local or seen.is_multicast or seen.is_unspecified or seen in _METADATA:
            raise UnreachableError(f"{address} is no address to send anything to")
        if seen.is_reserved and seen.version == 4:  # 240.0.0.0/4 and broadcast
            raise UnreachableError(f"{address} is no address to send anything to")


def _within(found: IPv4Address | IPv6Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses that are embedded in an IPv6 address, in any of the known ways.

    Mapped and compatible (RFC 4291), translated (SIIT, RFC 2765), NAT64 with the well-known and
    the local prefix (RFC 6052, RFC 8215), 6to4 (RFC 3056), Teredo (server and client, RFC 4380),
    ISATAP (RFC 5214).
    """
    if not isinstance(found, IPv6Address):
        return
    packed = found.packed
    if any(found in network for network in _LAST_FOUR) or packed[8:12] in _ISATAP:
        yield IPv4Address(packed[12:])
    if found in _LOCAL_NAT64:  # with a prefix of any length from 48 on
        places = (packed[6:8] + packed[9:11], packed[7:8] + packed[9:12], packed[9:13], packed[12:])
        yield from (IPv4Address(place) for place in places if any(place))
    if found.sixtofour is not None:
        yield found.sixtofour
    if found.teredo is not None:
        yield from found.teredo


def is_url(text: str) -> bool:
    """Tell whether ``text`` is an http or https URL with a host.

    >>> is_url("https://hooks.example.org/x"), is_url("file:///etc/passwd")
    (True, False)
    """
    parts = urlsplit(text)
    return parts.scheme in _PORTS and bool(parts.hostname)


def _ask(method: str, url: str, body: Body, timeout_s: float) -> None:
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or _PORTS[parts.scheme]
    target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    headers = {"User-Agent": "mlkit", **body.headers, **_login(parts)}
    connection = (HTTPSConnection if secure else HTTPConnection)(host, port)
    with _connected(host, port, timeout_s) as raw, closing(_wrapped(raw, host, secure)) as line:
        connection.sock = line  # connected already; the name is for the Host header
        with _deadline(line, timeout_s):
            if isinstance(line, ssl.SSLSocket):
                line.do_handshake()
            connection.request(method, target, body.content or None, headers)
            status = connection.getresponse().status
    if not 200 <= status < 300:
        raise AnsweredError(status)


@contextmanager
def _connected(host: str, port: int, timeout_s: float) -> Iterator[socket.socket]:
    """Yield a connection to the first address of the host that accepts; all are checked before."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UnreachableError(f"no address: {error.strerror}") from error
    for *_, place in found:
        refuse(str(place[0]))
    problem = OSError("no address")
    for family, kind, protocol, _, place in found:
        raw = socket.socket(family, kind, protocol)
        try:
            raw.settimeout(timeout_s)
            raw.connect(place)
        except OSError as error:
            raw.close()
            problem = error
            continue
        with raw:
            yield raw
        return
    raise UnreachableError(_said(problem))


@contextmanager
def _deadline(line: socket.socket, timeout_s: float) -> Iterator[None]:
    """Close the connection after the time: a slow answer could take hours byte by byte."""
    over = threading.Event()

    def end() -> None:
        over.set()
        with suppress(OSError):  # closed in the meantime
            line.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(timeout_s, end)
    timer.daemon = True
    timer.start()
    late = UnreachableError(f"no answer within {timeout_s:g} s")
    try:
        yield
    except (OSError, HTTPException) as error:
        if over.is_set() or isinstance(error, TimeoutError):
            raise late from error
        raise UnreachableError(_said(error)) from error
    else:
        if over.is_set():  # an answer that was cut off may look complete
            raise late
    finally:
        timer.cancel()
        timer.join()


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def _wrapped(raw: socket.socket, host: str, secure: bool) -> socket.socket:  # noqa: FBT001
    """Return the connection with TLS; the certificate must be for the name, not the address."""
    if not secure:
        return raw
    context = ssl.create_default_context()
    return context.wrap_socket(raw, server_hostname=host, do_handshake_on_connect=False)


def _login(parts: SplitResult) -> dict[str, str]:
    """Return the Authorization header for a user and password in the URL."""
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
