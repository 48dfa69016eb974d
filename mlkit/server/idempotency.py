"""Idempotent requests: one that is sent twice gets the same reply and one record in the log."""

import fcntl
import os
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from mlkit.flows.log import repeated_requests
from mlkit.flows.log.repeated_requests import Key
from mlkit.project import Project
from mlkit.server.query import Answers
from mlkit.store.disk import modes
from mlkit.store.log_columns import Entry

_MOST_ROWS = 20_000  # about 10 MB
_SLOTS = 1 << 20
_POLL_S = 0.005


class IdempotentReplies:
    """Find the answers that a request id chosen by a client has got before."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._changed = threading.Condition()
        self._taken: set[int] = set()
        self._recent: OrderedDict[Key, tuple[str, Answers]] = OrderedDict()
        self._rows = 0
        self._handle = -1

    @contextmanager
    def serialized(self, key: Key) -> Iterator[None]:
        """Let one thread at a time, over all processes, handle this request id.

        Other ids are handled in parallel, so a slow model delays no other request.
        """
        slot = zlib.crc32(msgspec.json.encode(key)) % _SLOTS
        with self._changed:
            while slot in self._taken:
                self._changed.wait()
            self._taken.add(slot)
        try:
            handle = self._lock(slot)
            try:
                yield
            finally:
                fcntl.lockf(handle, fcntl.LOCK_UN, 1, slot)
        finally:
            with self._changed:
                self._taken.remove(slot)
                self._changed.notify_all()

    def recent(self, key: Key, digest: str) -> Answers | None:
        """Return the answers if this process still remembers them; raises ConflictError."""
        known = self._recent.get(key)
        if known is None:
            return None
        repeated_requests.check(key, known[0], digest)
        return known[1]

    def recorded(self, key: Key, digest: str) -> Entry | None:
        """Return the logged answers of any process, None without any; raises ConflictError."""
        return repeated_requests.find(self._project, key, digest)

    def remember(self, key: Key, digest: str, answers: Answers) -> None:
        """Keep ``answers`` in memory; the oldest are dropped beyond ``_MOST_ROWS``."""
        with self._changed:
            if key in self._recent:
                return
            self._recent[key] = digest, answers
            self._rows += len(answers.ids)
            while self._rows > _MOST_ROWS:
                _, (_, dropped) = self._recent.popitem(last=False)
                self._rows -= len(dropped.ids)

    def _lock(self, slot: int) -> int:
        """Lock the slot in the file that all processes use, not in one that was deleted since.

        Polled instead of blocking: threads of two processes may wait for each other's slots, which
        the kernel, knowing processes only, reports as a deadlock (EDEADLK).
        """
        while True:
            handle = self._opened()
            try:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, slot)
            except BlockingIOError:
                time.sleep(_POLL_S)
                continue
            if os.fstat(handle).st_nlink:
                return handle
            fcntl.lockf(handle, fcntl.LOCK_UN, 1, slot)
            with self._changed:  # it stays open: other threads hold locks in it
                self._handle = -1 if self._handle == handle else self._handle

    def _opened(self) -> int:
        with self._changed:
            if self._handle < 0:
                file = self._project.state_dir / "locks" / "requests"
                modes.make_folder(file.parent)
                self._handle = modes.open_file(file, os.O_RDWR | os.O_CREAT)
            return self._handle
