"""The open connections of this process, as the kernel sees them, and how one of them is cut off.

The HTTP front reads bodies in its own threads and has no deadline for them; nothing but the end of
the connection wakes it. What is asked and answered is not known here. Linux only: tcp(7), TCP_INFO.
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
    """One client's connection; ``key`` is never another one's, ``handle`` may be soon.

    When data was last sent and received is in seconds of ``time.monotonic``: ages would be of the
    moment of each look, and on a busy machine hundreds of looks take a while.
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
        """Whether the client has sent something that nothing was sent back to."""
        if not self.sent:
            return self.received > 0
        return self.received_at > self.sent_at


def count() -> int:
    """Return how many files and connections this process has open, cheaply."""
    return len(os.listdir(_FDS))  # noqa: PTH208  # half the time of iterdir, twice a second


def listening(handle: int) -> bool:
    """Tell whether ``handle`` is a socket that takes connections."""
    with suppress(OSError), closing(_duplicate(handle)) as link:
        return bool(link.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    return False


def listening_port() -> int:
    """Return the port at which this process takes connections, 0 if at none."""
    for handle in filter(listening, handles()):
        with suppress(OSError), closing(_duplicate(handle)) as link:
            return int(link.getsockname()[1])
    return 0


def of_port(port: int) -> Iterator[Connection]:
    """Yield the established connections to ``port`` of this machine that this process holds."""
    for handle in handles():
        with suppress(OSError), closing(_duplicate(handle)) as link:
            found = _look(link, handle, port)
            if found is not None:
                yield found


def handles() -> list[int]:
    """Return the numbers of all open files of this process."""
    return [int(name) for name in os.listdir(_FDS)]  # noqa: PTH208


def shut_down_reading(connection: Connection) -> bool:
    """Let nothing more come in: whoever reads from it sees its end and can still answer.

    Tell whether it was still there: its number may belong to another connection by now.
    """
    with suppress(OSError), closing(_duplicate(connection.handle)) as link:
        if _key(link) == connection.key:
            link.shutdown(socket.SHUT_RD)
            return True
    return False


def _duplicate(handle: int) -> socket.socket:
    """Return the same socket under a number of our own, which nobody closes meanwhile."""
    copy = os.dup(handle)
    try:
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=copy)
    except OSError:
        os.close(copy)
        raise


def _look(link: socket.socket, handle: int, port: int) -> Connection | None:
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
