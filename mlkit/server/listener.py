"""The port, and the workers behind it: all take connections from one socket that outlives them.

With a socket for each, as granian makes them, what is queued in a worker's own is lost with it.
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
_LEAVE_S = 3.0  # for kept connections to end with an answer, and not in the middle of a question
_POLL_S = 0.05
_AGAIN_S = 3.0
_TRIES = 3  # starts that fail in a row, with nobody left to answer
_FIRST_ACCEPT_S = 0.25

log = logging.getLogger("mlkit.server")

_Holder: Any = SocketHolder  # whose types granian does not tell
_built: mmap.mmap | None = None  # a byte, without a file that a full disk could refuse


def bind(address: str, port: int, *, patience_s: float) -> socket.socket:
    """Return a socket that listens on ``port``, any free one if it is 0; raises ConflictError.

    A client that does not read its answer is given ``patience_s``.
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


def say_ready() -> None:
    """Tell the main process that this worker has loaded what it serves."""
    if _built is not None:
        _built[0] = True


class SharedServer(MPServer):
    """granian's server on a socket of ours, whose workers are replaced without a lost request."""

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
        delay: float = 0,  # noqa: ARG002  # granian's own, in place of a look
    ) -> None:
        """Put new workers in the places of old ones: first the new answers, then the old leaves."""
        for idx in workers:
            old: Any = self.wrks[idx]
            missing_workers.note(idx, missing=not old.is_alive())
            new: Any = self._spawn_worker(idx, spawn_target, target_loader)
            if self._started(new):
                self.wrks[idx] = new
                missing_workers.note(idx, missing=False)
                self._see_off(old)
            elif self.interrupt_signal:
                return
            elif not old.is_alive():
                self._try_again(idx)
            else:
                log.error(
                    "a new worker does not start, what it said is above; the old ones go on "
                    "(see: mlkit doctor)"
                )
                return

    def _started(self, new: Any) -> bool:
        """Start a worker and tell whether it answers; if not, it is gone."""
        global _built  # what a fork hands on
        new.interrupt_by_parent = True  # its death is no reason to start another
        try:
            _built = mmap.mmap(-1, 1)
            new.start()
        except OSError as error:  # no memory or no process left: there may be later
            log.error("a new worker cannot be started: %s", error)
            self._failed += 1
            return False
        while not _built[0] and new.is_alive() and not self.interrupt_signal:
            time.sleep(_POLL_S)
        time.sleep(_FIRST_ACCEPT_S)
        new.interrupt_by_parent = False
        if new.is_alive() and _built[0]:
            self._failed = 0
            return True
        self._failed += 1
        new.kill()
        new.join()
        return False

    def _any_alive(self) -> bool:
        known: list[Any] = self.wrks
        return any(each.is_alive() for each in known)

    def _try_again(self, idx: int) -> None:
        """Put a worker in the place of a dead one later on; the others answer meanwhile.

        Without any others, at once; after some starts that failed it is a crash loop, and the
        server ends.
        """
        missing_workers.note(idx, missing=True)
        if not self._any_alive():
            if self._failed >= _TRIES:
                self.respawned_wrks[idx] = time.monotonic()  # by which granian knows one
            self.interrupt_children.append(idx)
            self.main_loop_interrupt.set()
            return
        log.error(
            "a new worker does not start, what it said is above; the others go on, and it is tried "
            "again every %g s (see: mlkit doctor)",
            _AGAIN_S,
        )

        def ask() -> None:
            self.interrupt_children.append(idx)
            self.main_loop_interrupt.set()

        later = threading.Timer(_AGAIN_S, ask)
        later.daemon = True
        later.start()

    def _see_off(self, old: Any) -> None:
        """Let a worker answer what has come, and end; one that is dead has ended."""
        if not old.is_alive():
            return
        with suppress(ProcessLookupError):
            os.kill(old.inner.pid, signal.SIGUSR1)
            self._pause(_LEAVE_S)
        old.terminate()
        old.join(self.workers_kill_timeout)
        if old.is_alive():
            old.kill()
            old.join()

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.interrupt_signal:
            time.sleep(_POLL_S)
