"""End a command line process: flush, run exit functions, then exit at once.

The interpreter's own exit destroys C++ libraries while their threads are running: Arrow's thread
pool then sometimes aborts, after the complete output (``terminate called without an active
exception``, exit code 134; apache/arrow#34314).
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
    """Run ``command`` and exit with its code.

    As in a normal exit, threads are joined and the functions of ``atexit`` are called.
    """
    code = _FAILED
    try:
        code = _code(command)
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001  # as multiprocessing does
        atexit._run_exitfuncs()  # noqa: SLF001  # so does multiprocessing
        code = code or _flush(sys.stdout)
        _flush(sys.stderr)
        ctypes.CDLL(None).fflush(None)  # flushes the output of C libraries
    finally:
        os._exit(code)


def _code(command: Callable[[], object]) -> int:
    """Return the interpreter's exit code; an uncaught error is printed."""
    try:
        command()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 0xFF
        with suppress(OSError):
            sys.stderr.write(f"{printable.text(str(end.code))}\n")  # as the interpreter does
        return _FAILED
    except OSError as error:  # of the output itself; command errors are already printed
        return _cut_off(error)
    except BaseException:  # noqa: BLE001  # a bug: printed as the interpreter does
        sys.excepthook(*sys.exc_info())
        return _FAILED
    return 0


def _flush(stream: IO[str] | None) -> int:
    """Flush a stream and return the exit code; the reader of a pipe may have closed it."""
    try:
        if stream is not None:
            stream.flush()
    except OSError as error:
        return _cut_off(error)
    except ValueError:
        return 0  # closed already
    return 0


def _cut_off(error: OSError) -> int:
    if error.errno != errno.EPIPE:  # a closed pipe is no failure
        with suppress(OSError):
            sys.stderr.write(f"error: the output is cut off: {error.strerror}\n")
    return _FAILED
