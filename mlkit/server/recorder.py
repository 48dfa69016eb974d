"""The prediction log of one worker: every answer is in the journal before it leaves."""

import logging
import threading
from datetime import datetime

from mlkit.errors import BusyError
from mlkit.project import Project
from mlkit.server.meter import Meter
from mlkit.store.journal import Entry, Journal

log = logging.getLogger("mlkit.server")


class Recorder:
    """Put every answer on record, as ``log.durability`` and ``log.on_full`` ask."""

    def __init__(self, project: Project, meter: Meter) -> None:
        settings = project.settings.log
        self._off = settings.durability == "off"
        self._may_drop = settings.on_full == "drop"
        self._import_s = settings.import_s
        self._now = project.now
        self._journal = Journal(project.journal_dir, power_safe=settings.durability == "power")
        self._stop = threading.Event()
        self._meter = meter

    def record(self, entry: Entry, now: datetime) -> None:
        """Return when no death of a process can lose ``entry``.

        Raises BusyError if the disk does not take it, unless the settings say to count and go on.
        """
        if self._off:
            return
        try:
            self._journal.append(entry, now)
        except BusyError:
            if not self._may_drop:
                raise
            self._meter.dropped(len(entry.ids))

    def run(self) -> None:
        """Hand the journal on for import every ``log.import_s`` until ``stop``."""
        while not self._stop.wait(self._import_s):
            try:
                self._journal.rotate(self._now())
            except OSError:  # whoever waited for that flush is told so; the next file may do better
                log.exception("the prediction log could not be flushed")

    def stop(self) -> None:
        """Let ``run`` return, and hand on what there is."""
        self._stop.set()
        self._journal.close()
