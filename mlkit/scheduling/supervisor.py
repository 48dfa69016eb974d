"""Supervise one child process: start it, send heartbeats, enforce the deadline, end its group.

Knows no database; recording a run is the task of ``runner``.
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
from mlkit.scheduling.child import FAILED, STOPPED, TIMEOUT, JobResult, RunSpec

_FORKSERVER = multiprocessing.get_context("forkserver")
_LOCK = threading.Lock()  # multiprocessing polls all children when one starts: not thread-safe


class Heartbeat(NamedTuple):
    """Call ``beat`` with the child's pid every ``every_s`` seconds."""

    every_s: float
    beat: Callable[[int], None]


def preload(modules: Sequence[str]) -> None:
    """Import ``modules`` once in the fork server, before the first run.

    For a process that starts many children: each then starts within milliseconds.
    """
    _FORKSERVER.set_forkserver_preload([child.__name__, *modules])


def execute(
    spec: RunSpec,
    *,
    deadline_s: float,
    grace_s: float,
    heartbeat: Heartbeat,
    stop: Connection | None = None,
) -> JobResult:
    """Run ``spec`` in a child process and return how it ended.

    At the deadline, when ``stop`` becomes readable or when this call is interrupted, the child's
    process group gets SIGTERM and, ``grace_s`` later, SIGKILL.
    """
    receiver, sender = _FORKSERVER.Pipe(duplex=False)
    process = _FORKSERVER.Process(target=child.main, args=(spec, sender), name=spec.job)
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
    """Wait until the child ends (None), or return why it must be stopped."""
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
    """Return the child's own report, or one by its exit code if it sent none."""
    if receiver.poll():
        with suppress(EOFError):  # it died before it could send one
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
    """End the process and its group: SIGTERM, wait, SIGKILL."""
    if not _has_ended(process):
        _signal(process, signal.SIGTERM)
        wait([process.sentinel], grace_s)
        _signal(process, signal.SIGKILL)  # the children of an ended process may still live
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
    except ProcessLookupError:  # the group is empty, or the child has not made its own yet
        if not _has_ended(process):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
