"""The process of one job run: its own session, its limits, its output file, its report.

It does what the job says and nothing more; claims, deadlines and records are the runner's.
"""

import ctypes
import multiprocessing
import os
import resource
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from mlkit import capture, printable, timetable
from mlkit.errors import MlkitError, Stopped
from mlkit.project import Project
from mlkit.scheduling import background

OK, FAILED, TIMEOUT, OOM, LOST = "ok", "failed", "timeout", "oom", "lost"
STOPPED = "stopped"  # on request, which is no failure

_PR_SET_PDEATHSIG = 1  # prctl(2)
_OOM_SCORE = "500"  # of 1000: when memory is short the kernel takes the job, not the server
_SUMMARY_CHARS = 2000


class Report(msgspec.Struct, frozen=True):
    """How the job ended, by its own account."""

    status: str
    summary: str


@dataclass(frozen=True)
class Order:
    """What the runner wants done, and where the output goes."""

    project: Project
    job: str
    output: Path
    environment: Mapping[str, str]


def main(order: Order, reply: Connection) -> None:
    """Run the job and send the report; the target of the runner's process."""
    os.setsid()
    try:
        reader = capture.into(order.output, order.project.settings.jobs.output_kb * 1000)
    except OSError as error:
        _tell(reply, Report(FAILED, f"did not begin, {order.output} cannot be written: {error}"))
        return
    _die_with_runner()
    signal.signal(signal.SIGTERM, _leave)
    os.environ.update({**order.environment, "MLKIT_ACTOR": f"job:{order.job}"})
    _limit(order.project.settings.jobs.memory_mb)
    warnings.filterwarnings("default", category=DeprecationWarning, module=timetable.PACKAGE)
    report = _run(order)
    sys.stdout.flush()
    sys.stderr.flush()
    capture.finish(reader)
    _tell(reply, report)


def _tell(reply: Connection, report: Report) -> None:
    reply.send_bytes(msgspec.json.encode(report))
    reply.close()


def _run(order: Order) -> Report:
    project = order.project
    try:
        job = timetable.find(timetable.load(project), order.job)
        return Report(OK, _one_line(job.run(project)))
    except MlkitError as error:
        print(f"error: {printable.text(error)}", file=sys.stderr)  # noqa: T201  # the run's own output file
        return Report(OOM if _out_of_memory(error) else FAILED, _one_line(str(error)))
    except BaseException as error:  # noqa: BLE001  # the boundary of the user's code
        traceback.print_exc()
        if _out_of_memory(error):
            limit = project.settings.jobs.memory_mb
            return Report(OOM, f"out of memory; the limit is {limit} MiB (jobs.memory_mb)")
        return Report(FAILED, _one_line(f"{type(error).__name__}: {error}"))


def _one_line(text: object) -> str:
    return " ".join(str(text).split())[:_SUMMARY_CHARS]


def _out_of_memory(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _die_with_runner() -> None:
    """Let this process group end when the runner does, however that happens.

    The kernel's signal tells of the fork server alone, which outlives a killed runner for as long
    as we live; the runner's own end shows at a pipe that only it holds open.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_follow_runner, daemon=True).start()


def _follow_runner() -> None:
    runner = multiprocessing.parent_process()
    if runner is not None:
        runner.join()
        os.killpg(0, signal.SIGKILL)


def _leave(*_: object) -> None:
    """Let the job clean up, and leave in its output where it was when its time was over."""
    raise Stopped("told to stop")


def _limit(memory_mb: int) -> None:
    background.lower_priority()
    with suppress(OSError):  # some containers forbid it
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    if memory_mb:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = memory_mb << 20 if hard == resource.RLIM_INFINITY else min(memory_mb << 20, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
