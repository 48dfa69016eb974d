"""A thread that looks whether jobs are still run: their own clock cannot say that it stopped.

It looks after feature views, too, which grow old if nothing materialises them.
"""

import logging
import threading
from pathlib import Path
from typing import Final

from mlkit.flows.features import freshness
from mlkit.project import Project
from mlkit.scheduling import lateness
from mlkit.server.feature_state import MissingShares
from mlkit.settings.table import duration

_EVERY_S: Final = 60.0

log = logging.getLogger("mlkit.server")


class Watchdog:
    """Look once a minute, after the clock has had its time to catch up with what it missed."""

    def __init__(self, project: Project, metrics_dir: Path, *, every_s: float = _EVERY_S) -> None:
        self._project = project
        self._every_s = every_s
        self._patience_s = duration(project.settings.jobs.late_after).total_seconds()
        self._shares = MissingShares(project, metrics_dir)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a message that is being sent is given its time."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        """Look again and again; a machine that slept gives its clock that time anew."""
        watched_s, trouble = 0.0, ""
        last = self._project.now()
        while not self._over.wait(self._every_s):
            now = self._project.now()
            slept = (now - last).total_seconds() > 3 * self._every_s  # as did whatever runs jobs
            watched_s, last = 0.0 if slept else watched_s + self._every_s, now
            self._look_at_features(slept=slept)
            if watched_s >= self._patience_s:
                trouble = self._look(trouble)

    def _look_at_features(self, *, slept: bool) -> None:
        try:
            self._shares.check()
            if not slept:
                freshness.watch(self._project)
        except Exception as error:  # noqa: BLE001  # whatever it was, the next look may succeed
            log.warning("cannot tell whether features are fresh: %s", error)

    def _look(self, trouble: str) -> str:
        """Look once; return what went wrong, said once and not every minute."""
        try:
            lateness.watch_clock(self._project)
        except Exception as error:  # noqa: BLE001  # no timetable, a lock: the next may succeed
            if str(error) != trouble:
                log.warning("cannot tell whether the jobs are run: %s", error)
            return str(error)
        return ""
