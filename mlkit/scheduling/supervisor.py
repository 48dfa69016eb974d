"""Keep one child process in hand: start it, hear its heart, end it with all of its group.

Knows no database; what a run means is the runner's.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from typing import Any, NamedTuple

import msgspec

from mlkit.scheduling import child
from mlkit.scheduling.child import FAILED, STOPPED, TIMEOUT, JobResult, Order

_FORKSERVER = multiprocessing.get_context("forkserver")
_LOCK = threading.Lock()  # multiprocessing polls all children when one starts: not thread-safe


class Heartbeat(NamedTuple):
    """Call ``beat`` with the child's pid every ``every_s`` seconds."""

    every_s: float
    beat: Callable[[int], None]


def preload(modules: Sequence[str]) -> None:
    """Import ``modules`` once, before the first run, for all children of this process.

    For a process that starts many; each child then begins within milliseconds.
    """
    _FORKSERVER.set_forkserver_preload([child.__name__, *modules])


def execute(
    order: Order,
    *,
    deadline_s: float,
    grace_s: float,
    heartbeat: Heartbeat,
    stop: Connection | None = None,
) -> JobResult:
    """Carry out ``order`` in a child and return how it ended.

    At the deadline, when ``stop`` becomes readable or when this call is interrupted, the child's
    process group gets SIGTERM and, ``grace_s`` later, SIGKILL.
    """
    receiver, sender = _FORKSERVER.Pipe(duplex=False)
    process = _FORKSERVER.Process(target=child.main, args=(order, sender), name=order.job)
    with _LOCK:
        process.start()
    sender.close()
    try:
        forced = _watch(process, deadline_s, heartbeat, stop)
        return forced or _report(process, receiver)
    finally:
        _end(process, grace_s)
        receiver.close()


def _watch(
    process: ForkServerProcess, deadline_s: float, heartbeat: Heartbeat, stop: Connection | None
) -> JobResult | None:
    """Wait for the end; return a report only if the end has to be forced."""
    deadline = time.monotonic() + deadline_s
    events: list[Any] = [process.sentinel, *([] if stop is None else [stop])]
    while True:
        heartbeat.beat(process.pid or 0)
        left = max(0.0, deadline - time.monotonic())
        ready = wait(events, min(left, heartbeat.every_s))
        if process.sentinel in ready:
            return None
        if ready:
            return JobResult(STOPPED, "stopped, because its runner was told to stop")
        if time.monotonic() >= deadline:
            return JobResult(TIMEOUT, f"stopped after {deadline_s:g} s (jobs.deadline_s)")


def _report(process: ForkServerProcess, receiver: Connection) -> JobResult:
    """Return the child's own account, or what its exit code says if it left none."""
    if receiver.poll():
        with suppress(EOFError):  # it died before it could say anything
            return msgspec.json.decode(receiver.recv_bytes(), type=JobResult)
    with _LOCK:
        process.join()
    code = process.exitcode or 0
    if code == -signal.SIGKILL:
        return JobResult(FAILED, "killed by SIGKILL, as the kernel does when memory runs out")
    if code < 0:
        return JobResult(FAILED, f"died of {signal.Signals(-code).name}")
    return JobResult(FAILED, f"ended without a report (exit code {code})")


def _end(process: ForkServerProcess, grace_s: float) -> None:
    """End the process and all of its group: ask, wait, force."""
    if not _has_ended(process):
        _signal(process, signal.SIGTERM)
        wait([process.sentinel], grace_s)
        _signal(process, signal.SIGKILL)  # the children of a process that ended may live on
    with _LOCK:
        process.join()
    process.close()


def _has_ended(process: ForkServerProcess) -> bool:
    with _LOCK:
        return process.exitcode is not None


def _signal(process: ForkServerProcess, number: signal.Signals) -> None:
    pid = process.pid
    if pid is None:  # it was never started
        return
    try:
        os.killpg(pid, number)
    except ProcessLookupError:  # nobody is left, or it has no group of its own yet
        if not _has_ended(process):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
