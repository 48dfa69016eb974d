"""The prediction log of one worker: journal before the reply, database in the background."""

import logging
import threading
from datetime import datetime

from mlkit.flows import log_import
from mlkit.project import Project
from mlkit.store.journal import Entry, Journal

log = logging.getLogger("mlkit.server")


class Recorder:
    """Put every answer on record, as ``log.durability`` asks."""

    def __init__(self, project: Project) -> None:
        self._project = project
        settings = project.settings.log
        self._off = settings.durability == "off"
        self._journal = Journal(project.journal_dir, power_safe=settings.durability == "power")
        self._stop = threading.Event()
        self._trouble = ""

    def record(self, entry: Entry, now: datetime) -> None:
        """Return when no death of a process can lose ``entry``; raises BusyError."""
        if not self._off:
            self._journal.append(entry, now)

    def run(self) -> None:
        """Move the journal into the database every ``log.import_s`` until ``stop``."""
        while not self._stop.wait(self._project.settings.log.import_s):
            self.flush()

    def stop(self) -> None:
        """Let ``run`` return; what is left is imported by whoever comes next."""
        self._stop.set()

    def flush(self) -> None:
        """Close the present journal and move it, and any that was left over, to the database."""
        try:
            self._journal.rotate()
            log_import.collect(self._project)
            self._trouble = ""
        except Exception as error:  # noqa: BLE001  # the thread outlives a full disk or a lock
            if str(error) != self._trouble:  # say it once, not twice a second
                log.error("predictions stay in the journal for now: %s", error)
            self._trouble = str(error)
