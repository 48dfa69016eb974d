"""The prediction log of one worker: every answer is in the journal before it leaves."""

from datetime import datetime

from mlkit.errors import BusyError
from mlkit.project import Project
from mlkit.server.metrics.meter import Meter
from mlkit.store.journal import Journal
from mlkit.store.log_columns import Entry


class Recorder:
    """Put every answer on record, as ``log.durability`` and ``log.on_full`` ask."""

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
        """Return when no death of a process can lose ``entry``.

        Raises BusyError if the disk does not take it, unless the settings say to count and go on.
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
        """Return why predictions cannot be recorded, and so are not answered; "" if they can."""
        if self._off or self._may_drop:
            return ""
        return self._refused or self._journal.lacks()

    def hand_on(self) -> None:
        """Hand the journal on for import; raises OSError if the disk does not take it.

        Whoever waited for that flush is told so, and the next file may do better.
        """
        if self._refused:  # nobody may ask us while /readyz says so: try it without them
            self._journal.reopen(self._now())
            self._refused = ""
        else:
            self._journal.rotate(self._now())

    def stop(self) -> None:
        """Hand on what there is."""
        self._journal.close()
