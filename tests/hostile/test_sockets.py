"""What no HTTP library would send: byte by byte, over raw sockets."""

import json
import os
import re
import socket
import statistics
import time
from contextlib import suppress
from typing import Any

import pytest

ROW = {"age": 30, "plan": "free", "spend": 12.5, "active": False}
ONE = json.dumps({"rows": [ROW]}).encode()
HEAD = "POST /predict/churn HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
SECOND = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
SLOW_S = float(os.environ.get("MLKIT_TEST_SLOW_S", "6"))
SLOW_CLIENTS = 200


def _talk(server: Any, sent: bytes, *, patience_s: float = 3.0) -> bytes:
    """Send bytes; return all that comes back until the server hangs up or falls silent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=patience_s) as link:
        with suppress(OSError):  # it has hung up already; its answer may be here
            link.sendall(sent)
        found = b""
        try:
            while part := link.recv(65_536):
                found += part
                link.settimeout(0.5)
        except OSError:
            return found
        return found


def _statuses(answer: bytes) -> list[int]:
    return [int(number) for number in re.findall(rb"HTTP/1\.[01] (\d{3})", answer)]


def _head(*headers: str) -> bytes:
    return (HEAD + "".join(f"{header}\r\n" for header in headers) + "\r\n").encode()


SMUGGLED = {
    "length and chunks": _head("Content-Length: 4", "Transfer-Encoding: chunked")
    + b"0\r\n\r\n" + SECOND,
    "chunks and length": _head("Transfer-Encoding: chunked", f"Content-Length: {len(SECOND)}")
    + b"0\r\n\r\n" + SECOND,
    "two lengths": _head("Content-Length: 2", f"Content-Length: {2 + len(SECOND)}")
    + b"{}" + SECOND,
    "two lengths in one": _head(f"Content-Length: 2, {2 + len(SECOND)}") + b"{}" + SECOND,
    "a signed length": _head("Content-Length: +2") + b"{}" + SECOND,
    "a length in hex": _head("Content-Length: 0x2") + b"{}" + SECOND,
    "xchunked": _head("Transfer-Encoding: xchunked") + b"0\r\n\r\n" + SECOND,
    "chunked twice": _head("Transfer-Encoding: chunked", "Transfer-Encoding: identity")
    + b"0\r\n\r\n" + SECOND,
    "a blank before the colon": _head("Transfer-Encoding : chunked") + b"0\r\n\r\n" + SECOND,
    "a tab before the value": _head("Transfer-Encoding:\tchunked, identity")
    + b"0\r\n\r\n" + SECOND,
    "a folded header": _head("Transfer-Encoding:\r\n chunked") + b"0\r\n\r\n" + SECOND,
    "a chunk of minus one": _head("Transfer-Encoding: chunked") + b"-1\r\n{}\r\n0\r\n\r\n" + SECOND,
    "a chunk of much": _head("Transfer-Encoding: chunked") + b"FFFFFFFFFFFFFFFFF\r\n{}" + SECOND,
    "a NUL in a header": _head("X: a\0b", "Content-Length: 2") + b"{}" + SECOND,
    "a line end in a header": _head("X: a\rContent-Length: 2") + b"{}" + SECOND,
}  # fmt: skip


@pytest.mark.parametrize("name", list(SMUGGLED))
def test_a_body_of_doubtful_length_never_hides_a_second_request(target: Any, name: str) -> None:
    """Either it is refused as a whole, or its end is clear: then what follows is a request."""
    answer = _talk(target, SMUGGLED[name])
    statuses = _statuses(answer)
    assert all(400 <= status < 500 for status in statuses), answer
    if len(statuses) > 1:  # both ends agree on where the first one ended
        assert name in ("a tab before the value", "chunks and length", "length and chunks")
    assert target.predict().status == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"\0" * 1_000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /livez\r\n",
        b"GET  /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /livez HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /%00%ff%2e%2e HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /predict/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 20_000 + b"\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Version: 13\r\n\r\n",
        _head("Content-Length: 99999999999999999999"),
        _head("Content-Length: -1"),
        _head(f"Content-Length: {len(ONE)}", "Expect: 100-continue", "Expect: 200-ok") + ONE,
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_request_does_no_harm(target: Any, sent: bytes) -> None:
    answer = _talk(target, sent)
    assert not [status for status in _statuses(answer) if status >= 500 or status in (101,)], answer
    assert b"passwd" not in answer or b"404" in answer or b"405" in answer
    assert target.predict().status == 200


def test_chunks_without_end_are_cut_at_the_limit(target: Any) -> None:
    with socket.create_connection(("127.0.0.1", target.port), timeout=10) as link:
        link.sendall(_head("Transfer-Encoding: chunked"))
        chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
        sent = 0
        try:
            while sent < 200_000_000:
                link.sendall(chunk)
                sent += len(chunk)
        except OSError:
            pass  # hung up
        assert sent < 100_000_000
    assert target.predict().status == 200


def _one(target: Any) -> float:
    start = time.perf_counter()
    assert target.predict().status == 200
    return time.perf_counter() - start


@pytest.mark.parametrize("kind", ["headers", "bodies"])
def test_two_hundred_slow_senders_hold_up_nobody(target: Any, kind: str) -> None:
    """With ``MLKIT_TEST_SLOW_S=60`` as long as the promise says."""
    before = statistics.median(_one(target) for _ in range(30))
    begun = HEAD.encode() if kind == "headers" else _head("Content-Length: 1000") + b"{"
    links = []
    for _ in range(SLOW_CLIENTS):
        link = socket.create_connection(("127.0.0.1", target.port))
        link.sendall(begun)
        links.append(link)
    during = []
    end = time.monotonic() + SLOW_S
    while time.monotonic() < end:
        for link in links[:20]:
            try:
                link.sendall(b"x" if kind == "headers" else b" ")
            except OSError:
                continue  # the server has lost patience with this one
        during.append(_one(target))
        time.sleep(0.05)
    for link in links:
        link.close()
    among = statistics.median(during)
    print(f"median {before * 1e3:.1f} ms, {among * 1e3:.1f} among slow {kind}")  # noqa: T201
    assert max(during) < 5.0
    assert _one(target) < 5.0
