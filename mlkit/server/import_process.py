"""The process beside the workers that brings their answers into the database.

Not the workers themselves: an import would take the interpreter's lock from requests, and two
importers only wait for each other's lock. Not the main process either: workers are forked from it,
and neither a thread nor a database handle may cross a fork.
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
_OBJECTS = (
    200_000  # more than a batch makes: looking for cycles among them took a fifth of the time
)
_NICE = 5  # answering goes first when the processors are busy
_PATIENCE_S = 60
_BEAT_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
_SOUND_S: Final = 300.0  # after a death: the alert about it ends
_DIED: Final = "server:log"
_REPLACED: Final = "server:database"

log = logging.getLogger("mlkit.server")


class ImportProcess:
    """Import journals as the workers hand them on, in a process of its own that is replaced."""

    def __init__(
        self,
        project: Project,
        metrics_dir: Path,
        announced: Callable[[], bool],
        listening: socket.socket,
    ) -> None:
        """``announced`` is called again and again until it has said that the server answers."""
        self._child = _Child(project, metrics_dir, announced, listening)
        self._over = threading.Event()
        self._pid = self._wish = -1
        self._watch = threading.Thread(target=self._replace, name="mlkit-watch", daemon=True)

    def start(self) -> None:
        """Begin; no thread runs and no handle is open in this process yet."""
        self._fork("")

    def watch(self) -> None:
        """Replace the process from now on whenever it dies; a thread does that."""
        self._watch.start()

    def stop(self) -> None:
        """Let it import what is left, and end; the workers have ended by now."""
        self._over.set()
        if self._watch.ident is None:
            self._watch.start()
        with suppress(OSError):  # it has died just now, and its end is closed
            os.close(self._wish)
        end = time.monotonic() + _PATIENCE_S
        while self._watch.is_alive() and time.monotonic() < end:
            self._watch.join(_POLL_S)

    def _fork(self, died: str) -> None:
        """Start the process; by hand, because a thread may not use ``multiprocessing`` for it."""
        theirs, ours = os.pipe()  # neither is inherited by a program that a child executes
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.close(ours)
                self._child.run(theirs, died)
                code = 0
            except BaseException:  # noqa: BLE001  # nothing above may go on in this process
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(theirs)
        self._pid, self._wish = pid, ours

    def _replace(self) -> None:
        """Wait for the end again and again; one that dies at once is given more and more time."""
        pause_s = 0.0
        while True:
            began = time.monotonic()
            _, status = os.waitpid(self._pid, 0)
            if self._over.is_set():
                return
            died = _manner(status)
            log.error("the process that imports predictions %s; another takes its place", died)
            lived = time.monotonic() - began > _LONGEST_PAUSE_S
            pause_s = 0.0 if lived else pause_s
            os.close(self._wish)
            while not self._over.wait(pause_s):
                pause_s = max(0.5, min(_LONGEST_PAUSE_S, 2 * pause_s))
                if self._forked(died):
                    break
            else:
                return

    def _forked(self, died: str) -> bool:
        try:
            self._fork(died)
        except OSError as error:  # no memory or no process left: there may be later
            log.error("the process that imports predictions cannot be started: %s", error)
            return False
        return True


class _Child:
    """What the process does."""

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
        self._untold: dict[str, str] = {}

    def run(self, wish: int, died: str) -> None:
        """Import until the main process closes its end of the pipe, or dies."""
        self._listening.close()  # the port is free once those who answer are gone
        processes.rename("mlkit-log")
        gc.set_threshold(_OBJECTS)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # for the main process
            signal.signal(number, signal.SIG_IGN)
        with suppress(OSError):  # a container may forbid it
            os.nice(_NICE)
        with suppress(
            OSError
        ):  # a full disk, a project moved away; who waits for a sign of life says so
            modes.make_folder(self._metrics_dir, within=self._project.root)
        watchdog = Watchdog(self._project, self._metrics_dir)
        watchdog.start()
        self._work(wish, died)
        watchdog.stop()
        self._project.close()

    def _work(self, wish: int, died: str) -> None:
        trouble, said = "", bool(died)
        began = time.monotonic()
        if died:
            self._untold[_DIED] = f"the process that imports predictions {died} and was replaced"
        while not _closed(wish, _POLL_S if said else _POLL_AT_START_S):
            self._beat()
            said = said or self._announced()
            trouble = _collect(self._project, trouble)
            self._look_at_file()
            self._tell()
            if began and time.monotonic() - began > _SOUND_S and _end_alert(self._project):
                began = 0.0
        _collect(self._project, trouble)

    def _look_at_file(self) -> None:
        file = self._project.database.file_there
        if self._file is not None and file not in (None, self._file):
            self._untold[_REPLACED] = (
                "the database file was replaced by another one while the server ran; tokens and "
                "champions are those of the new one"
            )
        self._file = file or self._file

    def _tell(self) -> None:
        """Raise the alerts that are due; whatever is in the way, they wait for the next look."""
        for key, summary in list(self._untold.items()):
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
                del self._untold[key]

    def _beat(self) -> None:
        now = time.monotonic()
        if now - self._beaten_at >= _BEAT_S:
            with suppress(OSError):  # who listens for it says that nothing is heard
                heartbeat.beat(self._metrics_dir / heartbeat.FILE)
                self._beaten_at = now


def _closed(wish: int, within_s: float) -> bool:
    """Tell whether the other end of the pipe is closed; waits for that a moment."""
    import select  # not among what every worker needs

    poller = select.poll()
    poller.register(wish, select.POLLIN | select.POLLHUP)
    return bool(poller.poll(within_s * 1e3))


def _manner(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def _end_alert(project: Project) -> bool:
    try:
        alerting.resolve(project, _DIED, f"it has been well for {_SOUND_S / 60:g} minutes")
    except Exception:  # noqa: BLE001  # a locked database, a full disk: the next look ends it
        return False
    return True


def _collect(project: Project, trouble: str) -> str:
    """Import once; return what went wrong, said once and not ten times a second."""
    try:
        imports.collect(project)
    except Exception as error:  # noqa: BLE001  # outlives a full disk and a locked database
        if str(error) != trouble:
            log.error("predictions stay in the journal for now: %s", error)
        return str(error)
    return ""
