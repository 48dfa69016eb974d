"""Prediction logging of one worker: every answer is in the journal before it is sent."""

from datetime import datetime

from mlkit.errors import BusyError
from mlkit.project import Project
from mlkit.server.metrics.meter import Meter
from mlkit.store.journal import Journal
from mlkit.store.log_columns import Entry


class Recorder:
    """Write every answer to the journal, by ``log.durability`` and ``log.on_full``."""

    def __init__(self, project: Project, meter: Meter) -> None:
        settings = project.settings.log
        self._off = settings.durability == "off"
        self._may_drop = settings.on_full == "drop"
        self._now = project.now
        self._refused = ""
        self._journal = Journal(
            project.journal_dir, power_safe=settings.durability == "power", within=project.root
        )
        self._meter = meter

    def record(self, entry: Entry, now: datetime) -> None:
        """Write ``entry``; when this returns, no crash of a process can lose it.

        Raises BusyError if it cannot be written, unless ``log.on_full`` is ``drop``: then it is
        only counted.
        """
        if self._off:
            return
        try:
            self._journal.append(entry, now)
        except BusyError as error:
            if not self._may_drop:
                self._refused = str(error)
                raise
            self._meter.dropped(len(entry.ids))
        else:
            self._refused = ""

    def refusing(self) -> str:
        """Return why predictions cannot be logged and are thus refused, "" if they can."""
        if self._off or self._may_drop:
            return ""
        return self._refused or self._journal.shortage()

    def hand_on(self) -> None:
        """Hand the journal on to the importer; raises OSError if it cannot be flushed.

        Requests that wait for that flush then fail, and the next file may succeed.
        """
        if self._refused:  # no request may arrive while /readyz is 503: test the disk without one
            self._journal.reopen(self._now())
            self._refused = ""
        else:
            self._journal.rotate(self._now())

    def stop(self) -> None:
        """Hand on the last journal."""
        self._journal.close()
