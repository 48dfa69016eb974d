"""Check whether versions can be loaded, in a process of its own: loading runs users' code.

The process runs this module as a program; it prints one line with the result for each version.
"""

import importlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

import mlkit
from mlkit.errors import BusyError
from mlkit.flows.registry import deploy
from mlkit.project import Project, locate_project
from mlkit.store.registry import ModelVersion

_START_S = 60.0  # to import the libraries on a busy machine


def troubles(project: Project, versions: Sequence[ModelVersion]) -> Iterator[tuple[str, str]]:
    """Yield the label of each version that cannot be loaded, and why.

    One that takes longer than ``server.load_s``, or ends the process, does not stop the others.
    """
    waiting = list(versions)
    while waiting:
        answers = list(_ask(project, waiting))
        for version, answer in zip(waiting, answers, strict=False):
            if answer:
                yield version.label(), answer
        waiting = waiting[len(answers) :]


def _ask(project: Project, versions: Sequence[ModelVersion]) -> Iterator[str]:
    """Yield the error of each version, empty if there is none.

    The last one is the first version that hangs or ends the process.
    """
    named = [text for v in versions for text in (v.model.name, str(v.number))]
    limit_s = project.settings.server.load_s
    with subprocess.Popen(  # noqa: S603  # this very program, no shell
        [sys.executable, "-m", __name__, str(project.root), str(limit_s), *named],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=Path(mlkit.__file__).parents[1],  # so that the package is found first
        start_new_session=True,
    ) as process:
        try:
            if not _line(process, _START_S):  # the empty line that says that it has started
                raise BusyError(
                    "no model was loaded for a look: the process for it does not begin within "
                    f"{_START_S:g} s, or fails; try again when the machine is less busy"
                )
            for _ in versions:
                line = _line(process, limit_s)
                yield (
                    msgspec.json.decode(line, type=str) if line else _why_it_ended(process, limit_s)
                )
                if not line:
                    return
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _line(process: "subprocess.Popen[bytes]", wait_s: float) -> bytes:
    """Return the next line, empty if there is none in time or the process has ended."""
    assert process.stdout is not None  # noqa: S101  # it is a pipe
    ready, _, _ = select.select([process.stdout], [], [], wait_s)
    return process.stdout.readline() if ready else b""


def _why_it_ended(process: "subprocess.Popen[bytes]", limit_s: float) -> str:
    try:
        code = process.wait(1)
    except subprocess.TimeoutExpired:
        return f"loading takes longer than {limit_s:g} s (server.load_s)"
    return f"loading it ends the process (exit code {code})"


def main(words: Sequence[str]) -> None:
    """Load the versions that ``words`` name, after the project folder and the limit in seconds."""
    root, limit_s, *named = words
    with os.fdopen(os.dup(1), "wb", buffering=0) as reply:
        os.dup2(2, 1)  # so that the output of users' code is not taken for results
        # Import the libraries first: they take seconds, which no version should be blamed for.
        importlib.import_module("mlkit.steps.predictors.predictor")
        project = locate_project(Path(root))
        reply.write(b"\n")
        for model, number in zip(named[::2], named[1::2], strict=True):
            signal.alarm(int(2 * float(limit_s) + _START_S))  # the parent process may be gone
            reply.write(msgspec.json.encode(_trouble(project, model, int(number))) + b"\n")
        os._exit(0)  # does not wait for threads of users' code


def _trouble(project: Project, model: str, number: int) -> str:
    try:
        deploy.load_version(project, deploy.find_version(project, model, number))
    except Exception as error:  # noqa: BLE001  # loading runs the code of any library
        return str(error) or repr(error)
    return ""


if __name__ == "__main__":
    main(sys.argv[1:])
