"""A process of the command line ends at once, with the right exit code and nothing left behind."""

import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mlkit.project import Project

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def run(body: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run ``body`` as the command of a process."""
    program = "from mlkit.cli import ending\ndef command():\n"
    program += textwrap.indent(textwrap.dedent(body), "    ") + "\nending.run(command)\n"
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.run([sys.executable, "-c", program], check=False, **given)


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("pass", 0, ""),
        ("raise SystemExit", 0, ""),
        ("raise SystemExit(3)", 3, ""),
        ("raise SystemExit(-1)", 255, ""),
        ("raise SystemExit('enough')", 1, "enough\n"),
        ("raise ZeroDivisionError('bug')", 1, "ZeroDivisionError: bug\n"),
    ],
)
def test_the_exit_code_is_that_of_the_interpreter(body: str, code: int, said: str) -> None:
    done = run(body)
    assert done.returncode == code
    assert done.stderr.endswith(said)
    assert bool(said) == bool(done.stderr)


def test_what_is_buffered_is_written_and_what_was_registered_is_called() -> None:
    done = run(
        """
        import atexit, ctypes, tempfile, threading, time
        from concurrent.futures import ThreadPoolExecutor
        folder = tempfile.TemporaryDirectory()
        print(folder.name, end="")
        global kept; kept = folder
        ctypes.CDLL(None).printf(b" from-c")
        atexit.register(lambda: print(" at-exit", end=""))
        ThreadPoolExecutor().submit(lambda: (time.sleep(0.2), print(" pool", end="")))
        threading.Thread(target=lambda: (time.sleep(0.4), print(" thread", end=""))).start()
        """
    )
    folder, *words = done.stdout.split()
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(words) == ["at-exit", "from-c", "pool", "thread"]
    assert words[-1] == "at-exit"
    assert not Path(folder).exists()


def test_threads_of_libraries_hold_up_nobody() -> None:
    body = """
        import threading, time
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        """
    assert run(body, timeout=30).returncode == 0


def test_a_full_disk_is_an_error_and_not_a_traceback() -> None:
    with Path("/dev/full").open("w") as full:
        done = run("print('lost', end='')", stdout=full)
        words = [sys.executable, "-m", "mlkit", "--help"]
        helped = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, helped.returncode) == (1, 1)
    for ran in (done, helped):
        assert ran.stderr == "error: the output is cut off: No space left on device\n"


def test_a_reader_of_a_pipe_that_has_gone_is_no_news() -> None:
    with subprocess.Popen(["true"], stdin=subprocess.PIPE) as reader:
        reader.wait()
        done = run("print('lost', end='')", stdout=reader.stdin)
    assert (done.returncode, done.stderr) == (1, "")


def test_no_predict_of_many_on_a_busy_machine_is_told_to_have_failed(trained: Project) -> None:
    ask = trained.root / "ask.csv"
    (trained.root / "churn.csv").rename(ask)
    words = [sys.executable, "-m", "mlkit", "--project", str(trained.root), "predict", "churn"]

    def one(_: int) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run([*words, str(ask)], capture_output=True, check=False)

    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(one, range(4)))
    assert {ran.returncode for ran in runs} == {0}
    assert all(len(ran.stdout.splitlines()) == 401 for ran in runs)
