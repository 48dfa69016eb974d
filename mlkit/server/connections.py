"""The open TCP connections of this process, from the kernel, and how to cut one off.

granian reads bodies in its own threads without a deadline; only the end of the connection wakes
such a thread. Knows nothing of requests. Linux only: tcp(7), TCP_INFO.
"""

import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, NamedTuple

_FDS: Final = Path("/proc/self/fd")
_INFO_BYTES: Final = 160
_LAST_SENT: Final = struct.Struct("=44xI4xI")  # ms since data was sent, and since it was received
_SEGMENTS: Final = struct.Struct("=152xII")  # with data: received, sent
_ESTABLISHED: Final = 1
_SO_COOKIE: Final = 57  # asm-generic/socket.h
_COOKIE: Final = struct.Struct("=Q")


class Connection(NamedTuple):
    """One client's connection. ``key`` is unique for ever; ``handle`` may be reused soon.

    ``sent_at`` and ``received_at`` are in seconds of ``time.monotonic``. Ages would refer to the
    moment at which each connection was read, and reading hundreds takes a while on a busy machine.
    """

    key: int
    handle: int
    address: str
    sent_at: float
    received_at: float
    received: int
    sent: int

    @property
    def waits(self) -> bool:
        """Whether the client has sent something that has no answer yet."""
        if not self.sent:
            return self.received > 0
        return self.received_at > self.sent_at


def count() -> int:
    """Return how many files and connections this process has open."""
    return len(os.listdir(_FDS))  # noqa: PTH208  # half the time of iterdir, twice a second


def listening(handle: int) -> bool:
    """Tell whether ``handle`` is a listening socket."""
    with suppress(OSError), closing(_duplicate(handle)) as link:
        return bool(link.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    return False


def listening_port() -> int:
    """Return the port on which this process listens, 0 if on none."""
    for handle in filter(listening, handles()):
        with suppress(OSError), closing(_duplicate(handle)) as link:
            return int(link.getsockname()[1])
    return 0


def of_port(port: int) -> Iterator[Connection]:
    """Yield the established connections of this process to the local port ``port``."""
    for handle in handles():
        with suppress(OSError), closing(_duplicate(handle)) as link:
            found = _connection(link, handle, port)
            if found is not None:
                yield found


def handles() -> list[int]:
    """Return the numbers of all open file descriptors of this process."""
    return [int(name) for name in os.listdir(_FDS)]  # noqa: PTH208


def shut_down_reading(connection: Connection) -> bool:
    """Shut down the receiving side: a reader sees the end of the input and can still answer.

    Tell whether the connection still existed: its descriptor may belong to another one by now.
    """
    with suppress(OSError), closing(_duplicate(connection.handle)) as link:
        if _key(link) == connection.key:
            link.shutdown(socket.SHUT_RD)
            return True
    return False


def _duplicate(handle: int) -> socket.socket:
    """Return the same socket under a descriptor of our own, which no other thread closes."""
    copy = os.dup(handle)
    try:
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=copy)
    except OSError:
        os.close(copy)
        raise


def _connection(link: socket.socket, handle: int, port: int) -> Connection | None:
    if link.getsockname()[1:2] != (port,):
        return None
    info, now = link.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES), time.monotonic()
    if len(info) < _INFO_BYTES or info[0] != _ESTABLISHED:
        return None
    sent_ms, received_ms = _LAST_SENT.unpack_from(info)
    received, sent = _SEGMENTS.unpack_from(info)
    peer = str(link.getpeername()[0])
    sent_at, received_at = now - sent_ms / 1e3, now - received_ms / 1e3
    return Connection(_key(link), handle, peer, sent_at, received_at, received, sent)


def _key(link: socket.socket) -> int:
    raw = link.getsockopt(socket.SOL_SOCKET, _SO_COOKIE, _COOKIE.size)
    return int(_COOKIE.unpack(raw)[0])
