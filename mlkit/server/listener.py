"""The listening socket and the workers behind it: they share one socket, which outlives them.

With one socket per worker, as granian makes them, the connections in a worker's accept queue are
lost when it ends.
"""

import logging
import mmap
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from granian._granian import SocketHolder
from granian.server.mp import MPServer

from mlkit.errors import ConflictError
from mlkit.server import missing_workers

BACKLOG = 1024
_DRAIN_S = 3.0  # for keep-alive connections to end after an answer, not in the middle of a request
_POLL_S = 0.05
_RETRY_S = 3.0
_MOST_FAILED_STARTS = 3  # in a row, with no worker left to answer
_FIRST_ACCEPT_S = 0.25

log = logging.getLogger("mlkit.server")

_Holder: Any = SocketHolder  # untyped in granian
_ready: mmap.mmap | None = None  # one shared byte, without a file that a full disk could refuse


def bind(address: str, port: int, *, patience_s: float) -> socket.socket:
    """Return a socket that listens on ``port`` (0: any free one); raises ConflictError.

    A client that does not read its answer is cut off after ``patience_s``.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    link = socket.socket(family, socket.SOCK_STREAM)
    try:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(AttributeError, OSError):  # Linux
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(patience_s * 1e3))
        link.bind((address, port))
        link.listen(BACKLOG)
    except OSError as error:
        link.close()
        raise ConflictError(
            f"cannot listen on {address} port {port}: {error.strerror}; "
            "choose another with --port (0 takes any free one)"
        ) from error
    return link


def report_ready() -> None:
    """Tell the main process that this worker has loaded its models."""
    if _ready is not None:
        _ready[0] = True


class SharedServer(MPServer):
    """granian's server on our own socket, whose workers are replaced without losing a request."""

    def __init__(self, listening: socket.socket, **options: Any) -> None:
        address, port = listening.getsockname()[:2]
        super().__init__(address=address, port=port, backlog=BACKLOG, **options)
        self._listening = listening
        self._failed = 0
        missing_workers.begin(self.workers)

    def _init_shared_socket(self) -> None:
        self._ssp: Any = None
        self._sso: Any = None
        self._shd: Any = _Holder(self._listening.fileno(), False, BACKLOG)

    def _respawn_workers(
        self,
        workers: Sequence[int],
        spawn_target: Callable[..., None],
        target_loader: Callable[..., Any],
        delay: float = 0,  # noqa: ARG002  # granian waits this long instead of checking
    ) -> None:
        """Replace workers one by one: the old one ends only once the new one answers."""
        for idx in workers:
            old: Any = self.wrks[idx]
            missing_workers.note(idx, missing=not old.is_alive())
            new: Any = self._spawn_worker(idx, spawn_target, target_loader)
            if self._started(new):
                self.wrks[idx] = new
                missing_workers.note(idx, missing=False)
                self._drain(old)
            elif self.interrupt_signal:
                return
            elif not old.is_alive():
                self._retry_later(idx)
            else:
                log.error(
                    "a new worker does not start, its error is above; the old ones keep running "
                    "(see: mlkit doctor)"
                )
                return

    def _started(self, new: Any) -> bool:
        """Start a worker and tell whether it answers; one that does not is killed."""
        global _ready  # inherited by the fork
        new.interrupt_by_parent = True  # granian must not respawn it if it dies now
        try:
            _ready = mmap.mmap(-1, 1)
            new.start()
        except OSError as error:  # out of memory or processes: try again later
            log.error("a new worker cannot be started: %s", error)
            self._failed += 1
            return False
        while not _ready[0] and new.is_alive() and not self.interrupt_signal:
            time.sleep(_POLL_S)
        time.sleep(_FIRST_ACCEPT_S)
        new.interrupt_by_parent = False
        if new.is_alive() and _ready[0]:
            self._failed = 0
            return True
        self._failed += 1
        new.kill()
        new.join()
        return False

    def _any_alive(self) -> bool:
        known: list[Any] = self.wrks
        return any(each.is_alive() for each in known)

    def _retry_later(self, idx: int) -> None:
        """Replace a dead worker after a pause, while the others answer.

        Without any others at once; after ``_MOST_FAILED_STARTS`` it is a crash loop, and the server
        ends.
        """
        missing_workers.note(idx, missing=True)
        if not self._any_alive():
            if self._failed >= _MOST_FAILED_STARTS:
                self.respawned_wrks[idx] = time.monotonic()  # granian's mark of a crash loop
            self.interrupt_children.append(idx)
            self.main_loop_interrupt.set()
            return
        log.error(
            "a new worker does not start, its error is above; the others keep running, and it is "
            "tried again every %g s (see: mlkit doctor)",
            _RETRY_S,
        )

        def respawn() -> None:
            self.interrupt_children.append(idx)
            self.main_loop_interrupt.set()

        timer = threading.Timer(_RETRY_S, respawn)
        timer.daemon = True
        timer.start()

    def _drain(self, old: Any) -> None:
        """Let a worker answer the requests it has, then end it."""
        if not old.is_alive():
            return
        with suppress(ProcessLookupError):
            os.kill(old.inner.pid, signal.SIGUSR1)
            self._pause(_DRAIN_S)
        old.terminate()
        old.join(self.workers_kill_timeout)
        if old.is_alive():
            old.kill()
            old.join()

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.interrupt_signal:
            time.sleep(_POLL_S)
