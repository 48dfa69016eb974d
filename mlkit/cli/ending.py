"""The one place where a process of the command line ends: flushed, tidied up, and then at once.

The interpreter's own way out tears down C++ libraries while their threads are alive: Arrow's pool
then aborts now and again, after the whole output (``terminate called without an active exception``,
exit code 134; apache/arrow#34314).
"""

import atexit
import ctypes
import errno
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO, NoReturn

from mlkit import printable

_FAILED = 1


def run(command: Callable[[], object]) -> NoReturn:
    """Run ``command`` and end the process with its exit code.

    As at any end, threads are waited for and the functions of ``atexit`` are called.
    """
    code = _FAILED
    try:
        code = _code(command)
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001  # as multiprocessing does
        atexit._run_exitfuncs()  # noqa: SLF001  # so does multiprocessing
        code = code or _flush(sys.stdout)
        _flush(sys.stderr)
        ctypes.CDLL(None).fflush(None)  # what C libraries have printed
    finally:
        os._exit(code)


def _code(command: Callable[[], object]) -> int:
    """Return the exit code as the interpreter would give it, an error that nobody caught told."""
    try:
        command()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 0xFF
        with suppress(OSError):
            sys.stderr.write(f"{printable.text(str(end.code))}\n")
        return _FAILED
    except OSError as error:  # of the output itself; those of a command were told before
        return _cut_off(error)
    except BaseException:  # noqa: BLE001  # a bug: told as the interpreter does
        sys.excepthook(*sys.exc_info())
        return _FAILED
    return 0


def _flush(stream: IO[str] | None) -> int:
    """Write what is buffered; return the exit code: a reader of a pipe may have gone."""
    try:
        if stream is not None:
            stream.flush()
    except OSError as error:
        return _cut_off(error)
    except ValueError:
        return 0  # closed already
    return 0


def _cut_off(error: OSError) -> int:
    if error.errno != errno.EPIPE:  # who closed a pipe wants no more
        with suppress(OSError):
            sys.stderr.write(f"error: the output is cut off: {error.strerror}\n")
    return _FAILED
