"""The real server as a process beside the demo."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlkit.errors import MlkitError

_READY = re.compile(r"serving on http://127\.0\.0\.1:(\d+)")
_START_S = 60.0
_STOP_S = 20.0
_POLL_S = 0.05
# Linux ends the server with the demo, even if that is killed; the wish survives exec (prctl(2)).
_FOLLOW = (
    "import ctypes, os, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGTERM); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


@contextmanager
def serving(root: Path, environment: Mapping[str, str], output: Path) -> Iterator[int]:
    """Run ``mlkit serve`` for the project ``root`` and yield the port it answers on."""
    words = ["-m", "mlkit", "--project", str(root), "serve", "--port", "0"]
    with output.open("w") as stream:
        process = subprocess.Popen(  # noqa: S603  # this very program, no shell
            [sys.executable, "-c", _FOLLOW, *words],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,  # Ctrl-C is for the demo, which ends the server in order
        )
    try:
        yield _wait(process, output)
    finally:
        _stop(process)


def _wait(process: subprocess.Popen[bytes], output: Path) -> int:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        found = _READY.search(output.read_text())
        if found is not None:
            return int(found[1])
        if process.poll() is not None:
            raise MlkitError(
                f"the server ended at its start (exit code {process.returncode}); see {output}"
            )
        time.sleep(_POLL_S)
    raise MlkitError(f"the server did not answer within {_START_S:g} s; see {output}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
