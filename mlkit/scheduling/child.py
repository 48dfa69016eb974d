"""The child process of one job run: its own session, limits, output file and report.

Runs the job and nothing else; claims, deadlines and records are the task of ``runner``.
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
STOPPED = "stopped"  # on request, which is not a failure

_PR_SET_PDEATHSIG = 1  # prctl(2)
_OOM_SCORE = "500"  # of 1000: when memory is short the kernel kills the job, not the server
_SUMMARY_CHARS = 2000


class JobResult(msgspec.Struct, frozen=True):
    """How the job ended, as reported by the child process."""

    status: str
    summary: str


@dataclass(frozen=True)
class RunSpec:
    """The job that a child process runs, and where its output goes."""

    project: Project
    job: str
    output: Path
    environment: Mapping[str, str]


def main(spec: RunSpec, reply: Connection) -> None:
    """Run the job and send the report; the entry point of the child process."""
    os.setsid()
    try:
        reader = capture.into(spec.output, spec.project.settings.jobs.output_kb * 1000)
    except OSError as error:
        _send(reply, JobResult(FAILED, f"did not begin, {spec.output} cannot be written: {error}"))
        return
    _die_with_runner()
    signal.signal(signal.SIGTERM, _stop)
    os.environ.update({**spec.environment, "MLKIT_ACTOR": f"job:{spec.job}"})
    _limit(spec.project.settings.jobs.memory_mb)
    warnings.filterwarnings("default", category=DeprecationWarning, module=timetable.PACKAGE)
    report = _run(spec)
    sys.stdout.flush()
    sys.stderr.flush()
    capture.finish(reader)
    _send(reply, report)


def _send(reply: Connection, report: JobResult) -> None:
    reply.send_bytes(msgspec.json.encode(report))
    reply.close()


def _run(spec: RunSpec) -> JobResult:
    project = spec.project
    try:
        job = timetable.find(timetable.load(project), spec.job)
        return JobResult(OK, _one_line(job.run(project)))
    except MlkitError as error:
        print(f"error: {printable.text(error)}", file=sys.stderr)  # noqa: T201  # the run's own output file
        return JobResult(OOM if _out_of_memory(error) else FAILED, _one_line(str(error)))
    except BaseException as error:  # noqa: BLE001  # the boundary of the user's code
        traceback.print_exc()
        if _out_of_memory(error):
            limit = project.settings.jobs.memory_mb
            return JobResult(OOM, f"out of memory; the limit is {limit} MiB (jobs.memory_mb)")
        return JobResult(FAILED, _one_line(f"{type(error).__name__}: {error}"))


def _one_line(text: object) -> str:
    return " ".join(str(text).split())[:_SUMMARY_CHARS]


def _out_of_memory(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _die_with_runner() -> None:
    """Kill this process group when the runner dies, however it dies.

    PR_SET_PDEATHSIG reports the death of the parent, the fork server, which survives a killed
    runner as long as its children. The runner's own death shows at a pipe that only it holds open.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_follow_runner, daemon=True).start()


def _follow_runner() -> None:
    runner = multiprocessing.parent_process()
    if runner is not None:
        runner.join()
        os.killpg(0, signal.SIGKILL)


def _stop(*_: object) -> None:
    """Raise Stopped in the job, so that it cleans up and its output has a traceback."""
    raise Stopped("told to stop")


def _limit(memory_mb: int) -> None:
    background.lower_priority()
    with suppress(OSError):  # some containers forbid it
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    if memory_mb:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = memory_mb << 20 if hard == resource.RLIM_INFINITY else min(memory_mb << 20, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
