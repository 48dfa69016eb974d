"""One HTTP request to an address that was looked at: resolved once, checked, and connected to.

Between a check and a second look-up a name could lead elsewhere (DNS rebinding). No redirect is
followed, no proxy is asked, and the whole exchange has one deadline.
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
_METADATA: Final = frozenset(  # of clouds that keep it at other than link-local addresses
    map(
        ipaddress.ip_address,
        (
            "fd00:ec2::254", "fd20:ce::254", "fd00:42::42", "100.100.100.200", "168.63.129.16",
            "192.0.0.192",
        ),
    )
)  # fmt: skip

_LAST_FOUR: Final = tuple(  # of their 16 bytes are an IPv4 address
    map(IPv6Network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96"))
)
_LOCAL_NAT64: Final = IPv6Network("64:ff9b:1::/48")
_ISATAP: Final = (bytes.fromhex("00005efe"), bytes.fromhex("02005efe"))


class UnreachableError(OSError):
    """No connection; what is wrong with it."""


class AnsweredError(OSError):
    """An answer that is no success."""

    def __init__(self, status: int) -> None:
        hint = "; redirects are not followed" if 300 <= status < 400 else ""
        super().__init__(f"answered {status}{hint}")


class Body(NamedTuple):
    """What is sent, and what it is."""

    content: bytes
    headers: Mapping[str, str]


def post(url: str, body: Body, *, timeout_s: float) -> None:
    """Send ``body``; raises UnreachableError, AnsweredError, ValueError, HTTPException."""
    _ask("POST", url, body, timeout_s)


def get(url: str, *, timeout_s: float) -> None:
    """Ask for ``url``; raises as ``post`` does."""
    _ask("GET", url, Body(b"", {}), timeout_s)


def refuse(address: str) -> None:
    """Raise UnreachableError for an address where no receiver of ours can be.

    Link-local ones (there a cloud hands out its credentials), multicast and unspecified ones.
    Private addresses and loopback are allowed: the URL is from the operator's own settings.

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
        if seen.is_reserved and seen.version == 4:  # 240.0.0.0/4 and broadcast: no host has them
            raise UnreachableError(f"{address} is no address to send anything to")


def _within(found: IPv4Address | IPv6Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses that an IPv6 address can lead to: of each way there is to say so.

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
        connection.sock = line  # where it goes is settled; the host's name is for the header
        with _deadline(line, timeout_s):
            if isinstance(line, ssl.SSLSocket):
                line.do_handshake()
            connection.request(method, target, body.content or None, headers)
            status = connection.getresponse().status
    if not 200 <= status < 300:
        raise AnsweredError(status)


@contextmanager
def _connected(host: str, port: int, timeout_s: float) -> Iterator[socket.socket]:
    """Yield a connection to the first address of the host that answers, if all of them pass."""
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
    """Cut the connection after the time: an answer that drips could last for hours."""
    over = threading.Event()

    def end() -> None:
        over.set()
        with suppress(OSError):  # it has been closed meanwhile
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
        if over.is_set():  # half an answer, taken for a whole one
            raise late
    finally:
        timer.cancel()
        timer.join()


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def _wrapped(raw: socket.socket, host: str, secure: bool) -> socket.socket:  # noqa: FBT001
    """Return the connection under TLS; the certificate has to be the name's, not the address's."""
    if not secure:
        return raw
    context = ssl.create_default_context()
    return context.wrap_socket(raw, server_hostname=host, do_handshake_on_connect=False)


def _login(parts: SplitResult) -> dict[str, str]:
    """Return the header for a user and password in the URL."""
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
