"""Keep what a process prints in a file of bounded size: the beginning, and the end.

A process of its own reads it, so that nothing printed waits for the interpreter of the one that
prints, and so that it outlives that one's death. Knows nothing of jobs.
"""

import os
import signal
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Final

from mlkit.store.disk import modes

_PART_BYTES: Final = 1 << 16
_FIRST_SIGNAL: Final = 1
_PATIENCE_S: Final = 2.0

Pid = int


def into(file: Path, most_bytes: int) -> Pid:
    """Send what this process and its children print from now on to ``file``.

    Of more than ``most_bytes`` the middle is left out, and the place says how much. Call it while
    no other thread runs; call ``finish`` with what it returns in the end.
    """
    modes.make_folder(file.parent)
    handle = modes.open_file(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    source, sink = os.pipe()
    pid = os.fork()
    if pid == 0:
        with suppress(OSError):
            _read(source, handle, most_bytes, nothing)
        os._exit(0)
    os.dup2(nothing, 0)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    for each in (source, sink, handle, nothing):
        os.close(each)
    return pid


def finish(reader: Pid) -> None:
    """Return once all that was printed is in the file; a child that prints on is not waited for."""
    nothing = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    waiting = threading.Thread(target=_reap, args=(reader,), daemon=True)
    waiting.start()
    waiting.join(_PATIENCE_S)


def _reap(reader: Pid) -> None:
    with suppress(ChildProcessError):
        os.waitpid(reader, 0)


def _read(source: int, sink: int, most_bytes: int, nothing: int) -> None:
    """Copy until nobody can print any more; whatever ends the others must not end this."""
    os.setsid()
    for number in range(_FIRST_SIGNAL, signal.NSIG):
        with suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN)
    keep = {source, sink}
    for each in (0, 1, 2):
        os.dup2(nothing, each)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  # what else is open ends with others
        if int(name) > 2 and int(name) not in keep:
            with suppress(OSError):
                os.close(int(name))
    first, last = most_bytes // 2, most_bytes - most_bytes // 2
    tail: deque[bytes] = deque()
    held = left_out = 0
    while part := os.read(source, _PART_BYTES):
        if first:
            os.write(sink, part[:first])
            part, first = part[first:], max(0, first - len(part))
        tail.append(part)
        held += len(part)
        while held - len(tail[0]) >= last:
            left_out += len(tail[0])
            held -= len(tail.popleft())
    rest = b"".join(tail)
    excess = max(0, len(rest) - last)
    if left_out + excess:
        said = f"\n[{left_out + excess} bytes are left out here: jobs.output_kb]\n"
        os.write(sink, said.encode())
    os.write(sink, rest[excess:])
