"""Every error that an operator can mend.

::

    MlkitError             something the operator can mend            exit 1   HTTP 500
    ├── InvalidInputError  a file, value or setting is wrong          exit 1   HTTP 422
    ├── NotFoundError      a name that nothing here has               exit 1   HTTP 404
    ├── ConflictError      the state forbids it (exists already, ...) exit 1   HTTP 409
    ├── DamagedError       bytes on disk are not what was recorded    exit 1   HTTP 503
    ├── CheckFailedError   a check did its work and said no           exit 3   HTTP 422
    ├── ModelFailsError    a model's code fails, whatever it is asked exit 1   HTTP 500
    └── BusyError          locked by someone else, try again          exit 4   HTTP 503

A leaf exists only where some code treats it differently. The numbers live at the two boundaries
(``cli/root.py``, ``server/problems.py``), not here. A message says what, which value, and what to
do next; lower case, no full stop.
"""

import threading
from collections.abc import Mapping
from typing import Any, Final

_SAID_CHARS: Final = 1000


class Stopped(SystemExit):
    """A signal told this process to stop: the one exit that a user's code did not ask for."""


class MlkitError(Exception):
    """An error that an operator can mend; ``details`` is what ``--json`` adds to the message."""

    def __init__(self, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.details: dict[str, Any] = dict(details or {})


class InvalidInputError(MlkitError):
    """A file, a value or a setting is wrong."""


class NotFoundError(MlkitError):
    """A name or number that nothing here has."""


class ConflictError(MlkitError):
    """The present state forbids it."""


class DamagedError(MlkitError):
    """Bytes on disk are not what was recorded: never used, always reported."""


class CheckFailedError(MlkitError):
    """A check did its work and said no: validation, drift, gate."""


class ModelFailsError(MlkitError):
    """A model's own code fails for every row: no fault of who asks."""


class BusyError(MlkitError):
    """Someone else holds the lock; trying again later can succeed."""


def asks_to_end(error: BaseException) -> bool:
    """Tell whether ``error`` is what ends this program, and nothing that a user's code has done.

    Ctrl-C is raised in the main thread alone; in any other, a KeyboardInterrupt was made up.
    """
    if isinstance(error, KeyboardInterrupt):
        return threading.current_thread() is threading.main_thread()
    return isinstance(error, Stopped)


def told(error: BaseException) -> str:
    """Return what a user's code has raised, as far as it fits a message."""
    try:
        return repr(error)[:_SAID_CHARS]
    except Exception:  # noqa: BLE001  # that is a user's code as well
        return type(error).__name__


def unknown(noun: str, name: object, known: list[str], see: str) -> NotFoundError:
    """Return the error for a name that does not exist, with the names that do."""
    listed = ", ".join(known) if known else "none yet"
    return NotFoundError(f"no {noun} named '{name}'; known: {listed} (see: {see})")
