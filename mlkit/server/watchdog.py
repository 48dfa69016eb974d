"""A thread that checks whether jobs still run: a scheduler cannot report that it has stopped.

It also checks the freshness of feature views, which go stale if no job materialises them.
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
    """Check once a minute, after the scheduler has had time to catch up on missed slots."""

    def __init__(self, project: Project, metrics_dir: Path, *, every_s: float = _EVERY_S) -> None:
        self._project = project
        self._every_s = every_s
        self._patience_s = duration(project.settings.jobs.late_after).total_seconds()
        self._shares = MissingShares(project, metrics_dir)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after a message that it is just sending."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        """Check periodically; after a suspend the scheduler gets its time to catch up again."""
        watched_s, trouble = 0.0, ""
        last = self._project.now()
        while not self._over.wait(self._every_s):
            now = self._project.now()
            slept = (now - last).total_seconds() > 3 * self._every_s  # and so did the scheduler
            watched_s, last = 0.0 if slept else watched_s + self._every_s, now
            self._check_features(slept=slept)
            if watched_s >= self._patience_s:
                trouble = self._check_jobs(trouble)

    def _check_features(self, *, slept: bool) -> None:
        try:
            self._shares.check()
            if not slept:
                freshness.watch(self._project)
        except Exception as error:  # noqa: BLE001  # the next check may succeed
            log.warning("cannot tell whether features are fresh: %s", error)

    def _check_jobs(self, trouble: str) -> str:
        """Check once and return the error; the same error is logged once, not every minute."""
        try:
            lateness.watch_clock(self._project)
        except Exception as error:  # noqa: BLE001  # no timetable, a lock: the next may succeed
            if str(error) != trouble:
                log.warning("cannot tell whether the jobs are run: %s", error)
            return str(error)
        return ""
