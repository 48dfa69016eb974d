"""A request that is sent twice is answered once: the same reply, one record in the log."""

import fcntl
import os
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from mlkit.flows import repeated_requests
from mlkit.flows.repeated_requests import Key
from mlkit.project import Project
from mlkit.server.query import Answers
from mlkit.store import modes
from mlkit.store.journal import Entry

_MOST_ROWS = 20_000  # about 10 MB
_SLOTS = 1 << 20


class Replay:
    """Find what was answered to a request id that a client has chosen."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._mutex = threading.Lock()
        self._recent: OrderedDict[Key, tuple[str, Answers]] = OrderedDict()
        self._rows = 0
        self._handle = -1

    @contextmanager
    def turn(self, key: Key) -> Iterator[None]:
        """Let one worker at a time, of all processes, deal with this request id."""
        slot = zlib.crc32(msgspec.json.encode(key)) % _SLOTS
        with self._mutex:
            self._lock(slot)
            try:
                yield
            finally:
                fcntl.lockf(self._handle, fcntl.LOCK_UN, 1, slot)

    def recent(self, key: Key, digest: str) -> Answers | None:
        """Return the answers if this process gave them a while ago; raises ConflictError."""
        known = self._recent.get(key)
        if known is None:
            return None
        repeated_requests.check(key, known[0], digest)
        return known[1]

    def recorded(self, key: Key, digest: str) -> Entry | None:
        """Return what any process has on record; raises ConflictError."""
        return repeated_requests.find(self._project, key, digest)

    def remember(self, key: Key, digest: str, answers: Answers) -> None:
        """Keep ``answers`` for a while; the oldest go when there are too many rows."""
        with self._mutex:
            if key in self._recent:
                return
            self._recent[key] = digest, answers
            self._rows += len(answers.ids)
            while self._rows > _MOST_ROWS:
                _, (_, dropped) = self._recent.popitem(last=False)
                self._rows -= len(dropped.ids)

    def _lock(self, slot: int) -> None:
        """Lock the slot in the file that others open, too: not in one that was deleted since."""
        while True:
            if self._handle < 0:
                self._handle = self._open()
            fcntl.lockf(self._handle, fcntl.LOCK_EX, 1, slot)
            if os.fstat(self._handle).st_nlink:
                return
            os.close(self._handle)
            self._handle = -1

    def _open(self) -> int:
        file = self._project.state_dir / "locks" / "requests"
        modes.make_folder(file.parent)
        return modes.open_file(file, os.O_RDWR | os.O_CREAT)
