"""A job lets the server go first."""

import subprocess
import sys
from pathlib import Path

import pytest

PRINT = """
import os, pathlib
from mlkit.scheduling import background
background.lower_priority()
background.lower_priority()
session = pathlib.Path("/proc/self/autogroup").read_text().split()[-1]
print(os.getpriority(os.PRIO_PROCESS, 0), session)
"""


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="the kernel has no autogroup")
def test_a_job_without_a_terminal_lowers_itself_and_its_session_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRINT], start_new_session=True, capture_output=True, check=True
    )
    assert done.stdout.split() == [b"10", b"10"]
