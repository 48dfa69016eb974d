"""One holder at a time, whatever happens to the file of the lock."""

import os
import shutil
from pathlib import Path

import pytest

from mlkit.errors import BusyError
from mlkit.store.disk import locks


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "key").write_text("secret")
    return tmp_path / "locks" / "daemon"


def _delete(file: Path) -> None:
    file.unlink()


def _delete_folder(file: Path) -> None:
    shutil.rmtree(file.parent)


def _replace(file: Path) -> None:
    other = file.with_name("other")
    other.touch()
    other.replace(file)


def _leave(file: Path) -> None:
    assert file.exists()


@pytest.mark.parametrize("act", [_leave, _delete, _delete_folder, _replace])
def test_a_second_holder_is_refused_whatever_becomes_of_the_file(file: Path, act: object) -> None:
    assert callable(act)
    with locks.exclusive(file, busy="taken"):
        act(file)
        assert locks.is_held(file)
        for again in (locks.exclusive, locks.shared):
            with pytest.raises(BusyError, match="taken"), again(file, busy="taken"):
                pass
        with locks.exclusive(file.with_name("another"), busy="taken"):
            pass
    assert not locks.is_held(file)
    with locks.exclusive(file, busy="taken"):
        pass


def test_a_shared_lock_has_many_holders_and_keeps_out_who_wants_it_alone(file: Path) -> None:
    with locks.shared(file, busy="taken"), locks.shared(file, busy="taken"):
        file.unlink()
        with pytest.raises(BusyError), locks.exclusive(file, busy="taken"):
            pass
    with locks.exclusive(file, busy="taken"):
        pass


def test_a_lock_crosses_a_fork_and_ends_with_its_last_holder(file: Path) -> None:
    theirs, ours = os.pipe()
    with locks.exclusive(file, busy="taken"):
        pid = os.fork()
        if pid == 0:
            os.close(ours)
            os.read(theirs, 1)
            os._exit(0)
    assert locks.is_held(file)
    os.close(ours)
    os.waitpid(pid, 0)
    os.close(theirs)
    assert not locks.is_held(file)


def test_without_a_key_the_file_has_to_do(tmp_path: Path) -> None:
    file = tmp_path / "locks" / "daemon"
    with locks.exclusive(file, busy="taken"):
        assert locks.is_held(file)
    assert not locks.is_held(file)
