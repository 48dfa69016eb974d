"""The process beside the workers that imports the prediction journals into the database.

Not in the workers: an import would hold the interpreter lock that requests need, and two importers
would only wait for each other. Not in the main process: the workers are forked from it, and neither
a thread nor a database handle may cross a fork.
"""

import gc
import logging
import os
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from mlkit.flows.alerts import alerting
from mlkit.flows.log import imports
from mlkit.project import Project
from mlkit.server.watchdog import Watchdog
from mlkit.store.disk import heartbeat, modes, processes

_POLL_S = 0.1
_POLL_AT_START_S = 0.02
_GC_THRESHOLD = 200_000  # more objects than a batch makes: the cycle collector took a fifth of it
_NICE = 5  # requests go first when the processors are busy
_STOP_S = 60
_BEAT_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
_RECOVERED_S: Final = 300.0  # after a crash: then the alert about it is resolved
_DIED: Final = "server:log"
_REPLACED: Final = "server:database"

log = logging.getLogger("mlkit.server")


class ImportProcess:
    """Import the workers' journals in a child process, which is replaced if it dies."""

    def __init__(
        self,
        project: Project,
        metrics_dir: Path,
        announced: Callable[[], bool],
        listening: socket.socket,
    ) -> None:
        """``announced`` is polled until it has told the user that the server answers."""
        self._child = _Child(project, metrics_dir, announced, listening)
        self._over = threading.Event()
        self._pid = self._stop_pipe = -1
        self._watch = threading.Thread(target=self._replace, name="mlkit-watch", daemon=True)

    def start(self) -> None:
        """Start the child, while this process has no thread and no open handle yet."""
        self._fork("")

    def watch(self) -> None:
        """Start the thread that replaces the child whenever it dies."""
        self._watch.start()

    def stop(self) -> None:
        """Let the child import the rest and end; the workers have ended before."""
        self._over.set()
        if self._watch.ident is None:
            self._watch.start()
        with suppress(OSError):  # it has just died, and its end is closed
            os.close(self._stop_pipe)
        end = time.monotonic() + _STOP_S
        while self._watch.is_alive() and time.monotonic() < end:
            self._watch.join(_POLL_S)

    def _fork(self, died: str) -> None:
        """Fork the child; not by ``multiprocessing``, which the watching thread may not use."""
        theirs, ours = os.pipe()  # both are close-on-exec
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.close(ours)
                self._child.run(theirs, died)
                code = 0
            except BaseException:  # noqa: BLE001  # the parent's code must not continue here
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(theirs)
        self._pid, self._stop_pipe = pid, ours

    def _replace(self) -> None:
        """Replace the child whenever it ends, with exponential back-off if it dies at once."""
        pause_s = 0.0
        while True:
            began = time.monotonic()
            _, status = os.waitpid(self._pid, 0)
            if self._over.is_set():
                return
            died = _cause_of_death(status)
            log.error("the process that imports predictions %s; another takes its place", died)
            lived = time.monotonic() - began > _LONGEST_PAUSE_S
            pause_s = 0.0 if lived else pause_s
            os.close(self._stop_pipe)
            while not self._over.wait(pause_s):
                pause_s = max(0.5, min(_LONGEST_PAUSE_S, 2 * pause_s))
                if self._forked(died):
                    break
            else:
                return

    def _forked(self, died: str) -> bool:
        try:
            self._fork(died)
        except OSError as error:  # out of memory or processes: try again later
            log.error("the process that imports predictions cannot be started: %s", error)
            return False
        return True


class _Child:
    """The code of the child process."""

    def __init__(
        self,
        project: Project,
        metrics_dir: Path,
        announced: Callable[[], bool],
        listening: socket.socket,
    ) -> None:
        self._project = project
        self._metrics_dir = metrics_dir
        self._announced = announced
        self._listening = listening
        self._beaten_at = 0.0
        self._file: tuple[int, int] | None = None
        self._pending_alerts: dict[str, str] = {}

    def run(self, stop_pipe: int, died: str) -> None:
        """Import until the main process closes its end of the pipe, or dies."""
        self._listening.close()  # the port must be free once the workers are gone
        processes.rename("mlkit-log")
        gc.set_threshold(_GC_THRESHOLD)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # the main process acts
            signal.signal(number, signal.SIG_IGN)
        with suppress(OSError):  # a container may forbid it
            os.nice(_NICE)
        with suppress(
            OSError
        ):  # a full disk, a project moved away: the missing heartbeat is reported
            modes.make_folder(self._metrics_dir, within=self._project.root)
        watchdog = Watchdog(self._project, self._metrics_dir)
        watchdog.start()
        self._work(stop_pipe, died)
        watchdog.stop()
        self._project.close()

    def _work(self, stop_pipe: int, died: str) -> None:
        trouble, announced = "", bool(died)
        began = time.monotonic()
        if died:
            summary = f"the process that imports predictions {died} and was replaced"
            self._pending_alerts[_DIED] = summary
        while not _closed(stop_pipe, _POLL_S if announced else _POLL_AT_START_S):
            self._beat()
            announced = announced or self._announced()
            trouble = _collect(self._project, trouble)
            self._check_file()
            self._raise_alerts()
            if began and time.monotonic() - began > _RECOVERED_S and _end_alert(self._project):
                began = 0.0
        _collect(self._project, trouble)

    def _check_file(self) -> None:
        """Notice that the database file was replaced by another one."""
        file = self._project.database.file_there
        if self._file is not None and file not in (None, self._file):
            self._pending_alerts[_REPLACED] = (
                "the database file was replaced by another one while the server ran; tokens and "
                "champions are those of the new one"
            )
        self._file = file or self._file

    def _raise_alerts(self) -> None:
        """Raise the pending alerts; one that cannot be raised is tried again in the next round."""
        for key, summary in list(self._pending_alerts.items()):
            with suppress(Exception):
                alerting.raise_alert(
                    self._project,
                    key=key,
                    kind="server",
                    severity="warning",
                    model=None,
                    summary=summary,
                    details={},
                )
                del self._pending_alerts[key]

    def _beat(self) -> None:
        now = time.monotonic()
        if now - self._beaten_at >= _BEAT_S:
            with suppress(OSError):  # the missing heartbeat is reported by the workers
                heartbeat.beat(self._metrics_dir / heartbeat.FILE)
                self._beaten_at = now


def _closed(pipe: int, within_s: float) -> bool:
    """Wait up to ``within_s`` and tell whether the other end of the pipe is closed."""
    import select  # no worker needs it

    poller = select.poll()
    poller.register(pipe, select.POLLIN | select.POLLHUP)
    return bool(poller.poll(within_s * 1e3))


def _cause_of_death(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def _end_alert(project: Project) -> bool:
    try:
        alerting.resolve(project, _DIED, f"no crash for {_RECOVERED_S / 60:g} minutes")
    except Exception:  # noqa: BLE001  # a locked database, a full disk: the next round tries again
        return False
    return True


def _collect(project: Project, trouble: str) -> str:
    """Import once and return the error; the same error is logged once, not ten times a second."""
    try:
        imports.collect(project)
    except Exception as error:  # noqa: BLE001  # survives a full disk and a locked database
        if str(error) != trouble:
            log.error("predictions stay in the journal for now: %s", error)
        return str(error)
    return ""
