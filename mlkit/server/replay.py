"""A request that is sent twice is answered once: the same reply, one record in the log."""

import fcntl
import os
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from mlkit.project import Project
from mlkit.server.query import Answers
from mlkit.store import journal, modes, predictions
from mlkit.store.journal import Entry

_MOST_ROWS = 20_000  # about 10 MB
_SLOTS = 1 << 20


class Replay:
    """Find what was answered to a request id that a client has chosen."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._mutex = threading.Lock()
        self._recent: OrderedDict[tuple[int, str], Answers] = OrderedDict()
        self._rows = 0
        self._handle = -1

    @contextmanager
    def turn(self, model_id: int, request_id: str) -> Iterator[None]:
        """Let one worker at a time, of all processes, deal with this request id."""
        slot = zlib.crc32(f"{model_id}:{request_id}".encode()) % _SLOTS
        with self._mutex:
            if self._handle < 0:
                self._handle = self._open()
            fcntl.lockf(self._handle, fcntl.LOCK_EX, 1, slot)
            try:
                yield
            finally:
                fcntl.lockf(self._handle, fcntl.LOCK_UN, 1, slot)

    def recent(self, model_id: int, request_id: str) -> Answers | None:
        """Return the answers if this process gave them a while ago."""
        return self._recent.get((model_id, request_id))

    def recorded(self, model_id: int, request_id: str) -> Entry | None:
        """Return what any process has on record.

        The journals come first: a record only ever moves from there to the database.
        """
        entry = journal.find(self._project.journal_dir, request_id, model_id)
        if entry is not None:
            return entry
        with self._project.read() as s:
            return predictions.of_request(s, request_id, model_id)

    def remember(self, model_id: int, request_id: str, answers: Answers) -> None:
        """Keep ``answers`` for a while; the oldest go when there are too many rows."""
        with self._mutex:
            self._recent[(model_id, request_id)] = answers
            self._rows += len(answers.ids)
            while self._rows > _MOST_ROWS:
                _, dropped = self._recent.popitem(last=False)
                self._rows -= len(dropped.ids)

    def _open(self) -> int:
        file = self._project.state_dir / "locks" / "requests"
        modes.make_folder(file.parent)
        return modes.open_file(file, os.O_RDWR | os.O_CREAT)
