"""Capture the output of a process in a file of bounded size: its beginning and its end.

A separate process reads the pipe, so that printing never waits for the interpreter of the process
that prints, and so that the output survives its death. Knows nothing of jobs.
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
_FINISH_S: Final = 2.0

Pid = int


def into(file: Path, most_bytes: int) -> Pid:
    """Redirect the output of this process and its children to ``file``; return the reader's pid.

    Beyond ``most_bytes`` the middle is left out, with a line that says how much. Call it before any
    other thread is started (it forks), and ``finish`` at the end.
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
    """Wait until all output is in the file, but not for a child that still prints."""
    nothing = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    waiting = threading.Thread(target=_reap, args=(reader,), daemon=True)
    waiting.start()
    waiting.join(_FINISH_S)


def _reap(reader: Pid) -> None:
    with suppress(ChildProcessError):
        os.waitpid(reader, 0)


def _read(source: int, sink: int, most_bytes: int, nothing: int) -> None:
    """Copy until no process holds the pipe open; signals to the others must not end this one."""
    os.setsid()
    for number in range(_FIRST_SIGNAL, signal.NSIG):
        with suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN)
    keep = {source, sink}
    for each in (0, 1, 2):
        os.dup2(nothing, each)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  # inherited, and not ours to keep open
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
        note = f"\n[{left_out + excess} bytes are left out here: jobs.output_kb]\n"
        os.write(sink, note.encode())
    os.write(sink, rest[excess:])
