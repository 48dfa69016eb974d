"""Whole copies of a project are gone when their maker is, and a swap is whole or undone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlkit.errors import BusyError
from mlkit.store.disk import failpoints, scratch_folders

_KILLED = """
import os, signal, sys
from pathlib import Path
from mlkit.store.disk import scratch_folders
with scratch_folders.create(Path(sys.argv[1]), "copy-") as folder:
    (folder / "key").write_text("secret")
    os.kill(os.getpid(), signal.SIGKILL)
"""
_SWAPPED = """
import sys
from pathlib import Path
from mlkit.store.disk import scratch_folders
target, kept = Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None
with scratch_folders.beside(target, busy="busy") as new:
    new.mkdir()
    (new / "which").write_text("new")
    scratch_folders.put(target, kept)
"""


def _run(program: str, *words: object, moment: str = "") -> int:
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)],
        env={**os.environ, failpoints.VARIABLE: moment}, check=False,
    )  # fmt: skip
    return done.returncode


def test_a_room_is_for_its_owner_alone_and_gone_afterwards(tmp_path: Path) -> None:
    with scratch_folders.create(tmp_path, "copy-") as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "key").write_text("secret")
        assert scratch_folders.sweep(tmp_path, "copy-") == 0  # somebody is at work in it
        assert (folder / "key").exists()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_one_left_the_next_one_clears_away(tmp_path: Path) -> None:
    assert _run(_KILLED, tmp_path) == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.stat().st_mode & 0o777 == 0o700
    with scratch_folders.create(tmp_path, "copy-") as folder:
        assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="other users' locks are not told")
def test_another_user_at_work_on_the_same_is_waited_for_and_a_dead_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "shop[1]"
    with scratch_folders.beside(target, busy="busy"):
        monkeypatch.setattr(os, "geteuid", lambda: 12_345)
        with pytest.raises(BusyError, match="busy"), scratch_folders.beside(target, busy="busy"):
            pass
    (tmp_path / ".shop[1].restoring-7").mkdir()
    with scratch_folders.beside(target, busy="busy") as new:
        assert new.parent.name == ".shop[1].restoring-12345"


def test_what_others_made_is_left_alone(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (tmp_path / "copy-link").symlink_to(elsewhere)
    (tmp_path / "copy-open").mkdir(mode=0o755)
    (tmp_path / "copy-file").touch()
    (tmp_path / ".copy-x.new").mkdir(mode=0o700)  # made this moment, not locked yet
    assert scratch_folders.sweep(tmp_path, "copy-") == 0
    assert len(list(tmp_path.iterdir())) == 5
    old = time.time() - 3_600
    os.utime(tmp_path / ".copy-x.new", (old, old))
    assert scratch_folders.sweep(tmp_path, "copy-") == 1


@pytest.mark.parametrize("occupied", [True, False])
@pytest.mark.parametrize("moment", ["restore.ready", "restore.moved", "restore.placed"])
def test_a_swap_that_is_killed_is_finished_or_undone(
    tmp_path: Path, moment: str, *, occupied: bool
) -> None:
    target, kept = tmp_path / "shop", tmp_path / "shop.old"
    if occupied:
        target.mkdir()
        (target / "which").write_text("old")
    words = (target, kept) if occupied else (target,)
    assert _run(_SWAPPED, *words, moment=moment) == -signal.SIGKILL
    scratch_folders.settle(target)
    undone = occupied and moment == "restore.ready"
    assert (target / "which").read_text() == ("old" if undone else "new")
    assert kept.exists() == (occupied and not undone)
    assert {path.name for path in tmp_path.iterdir()} <= {"shop", "shop.old"}
    scratch_folders.settle(target)  # nothing more to do
    assert (target / "which").read_text() == ("old" if undone else "new")


def test_what_is_being_built_is_not_taken_for_a_dead_one(tmp_path: Path) -> None:
    target = tmp_path / "shop"
    with scratch_folders.beside(target, busy="") as new:
        new.mkdir()
        scratch_folders.settle(target)
        assert new.is_dir()
        with (
            pytest.raises(BusyError, match="another"),
            scratch_folders.beside(target, busy="another"),
        ):
            pass
        assert new.is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_another_user_has_laid_ready_is_not_put_in_place(tmp_path: Path) -> None:
    target = tmp_path / "shop"
    trap = tmp_path / f".shop.restoring-{os.geteuid()}"
    (trap / "project").mkdir(parents=True)
    (trap / "ready").touch()
    trap.chmod(0o700)
    os.chown(trap, 12_345, 12_345)
    scratch_folders.settle(target)
    assert not target.exists()
    os.chown(trap, 0, 0)
    trap.chmod(0o777)
    scratch_folders.settle(target)
    assert not target.exists()
