"""One line to the log of the system, which is out of reach of who can only write the project."""

import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

SOCKET: Final = Path("/dev/log")
_PRIORITY: Final = 10 * 8 + 5  # authpriv.notice
_WAIT_S: Final = 0.2


def send(text: str, place: Path = SOCKET) -> None:
    """Send ``text``; a machine without such a log, or one that is stuck, gets nothing."""
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.settimeout(_WAIT_S)
        line.sendto(f"<{_PRIORITY}>mlkit: {text}".encode(), str(place))
