"""The process beside the workers that brings their answers into the database.

Not the workers themselves: an import would take the interpreter's lock from requests, and two
importers only wait for each other's lock. Not the main process either: workers are forked from it,
and neither a thread nor a database handle may cross a fork.
"""

import gc
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from mlkit.flows import log_import
from mlkit.project import Project
from mlkit.server.lookout import Lookout
from mlkit.store import processes

_LOOK_S = 0.1
_START_S = 0.02
_OBJECTS = (
    200_000  # more than a batch makes: looking for cycles among them took a fifth of the time
)
_NICE = 5  # answering goes first when the processors are busy
_PATIENCE_S = 60

log = logging.getLogger("mlkit.server")


class Housekeeper:
    """Import journals as the workers hand them on, in a process of its own."""

    def __init__(self, project: Project, metrics_dir: Path, announced: Callable[[], bool]) -> None:
        """``announced`` is called again and again until it has said that the server answers."""
        context = get_context("fork")
        theirs, self._ours = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_run,
            args=(project, metrics_dir, announced, theirs, self._ours),
        )

    def start(self) -> None:
        """Begin; no thread runs and no handle is open in this process yet."""
        self._process.start()

    def stop(self) -> None:
        """Let it import what is left, and end; the workers have ended by now."""
        self._ours.close()
        self._process.join(_PATIENCE_S)


def _run(
    project: Project,
    metrics_dir: Path,
    announced: Callable[[], bool],
    wish: Connection,
    other_end: Connection,
) -> None:
    """Import until the main process closes its end of the pipe, or dies."""
    other_end.close()
    processes.rename("mlkit-log")
    gc.set_threshold(_OBJECTS)
    for number in (signal.SIGTERM, signal.SIGINT):  # the main process gets these, too
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):  # a container may forbid it
        os.nice(_NICE)
    lookout = Lookout(project, metrics_dir)
    lookout.start()
    trouble, said = "", False
    while not wish.poll(_LOOK_S if said else _START_S):
        said = said or announced()
        trouble = _collect(project, trouble)
    _collect(project, trouble)
    lookout.stop()
    project.close()


def _collect(project: Project, trouble: str) -> str:
    """Import once; return what went wrong, said once and not ten times a second."""
    try:
        log_import.collect(project)
    except Exception as error:  # noqa: BLE001  # outlives a full disk and a locked database
        if str(error) != trouble:
            log.error("predictions stay in the journal for now: %s", error)
        return str(error)
    return ""
