"""A process is known by more than its pid."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from mlkit.store.disk import processes


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(command, start_new_session=True) as process:
        yield process
        process.kill()


def _altered(identity: str, *, place: int, by: str) -> str:
    words = identity.split()
    words[place] = by
    return " ".join(words)


def test_this_process_is_alive() -> None:
    assert processes.state(processes.identity()) == "alive"


def test_a_killed_process_is_gone_even_before_its_parent_asked(
    sleeper: subprocess.Popen[bytes],
) -> None:
    identity = processes.identity(sleeper.pid)
    assert processes.state(identity) == "alive"
    processes.kill_group(identity)
    while sleeper.poll() is None:
        pass
    assert processes.state(identity) == "gone"
    assert processes.state(processes.identity(sleeper.pid)) == "gone"


@pytest.mark.parametrize(("place", "by"), [(1, "another-boot"), (3, "1")])
def test_the_same_pid_after_a_reboot_or_reuse_is_another_process(place: int, by: str) -> None:
    assert processes.state(_altered(processes.identity(), place=place, by=by)) == "gone"


def test_a_process_of_another_host_is_not_judged() -> None:
    identity = _altered(processes.identity(), place=0, by="elsewhere.example")
    assert processes.state(identity) == "elsewhere"


def test_nobody_else_is_killed(sleeper: subprocess.Popen[bytes]) -> None:
    processes.kill_group(_altered(processes.identity(sleeper.pid), place=3, by="1"))
    assert sleeper.poll() is None
