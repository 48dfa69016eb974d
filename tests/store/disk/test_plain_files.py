"""Only ordinary files are read: nothing waits for a pipe that stands in the place of one."""

import os
from pathlib import Path

import pytest

from mlkit import environment_file
from mlkit.store import journal
from mlkit.store.disk import blobs, heartbeat, locks, plain_files, witness


def test_an_ordinary_file_is_read_whole_through_links_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100_000)
    (tmp_path / "link").symlink_to("file")
    assert plain_files.read(tmp_path / "link") == b"x" * 100_000


def test_a_pipe_a_folder_and_a_circle_of_links_are_errors_with_their_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "circle").symlink_to("circle")
    for name in ("pipe", "folder", "circle"):
        with pytest.raises(OSError, match=f"(ordinary|directory|symbolic).*{name}"):
            plain_files.read(tmp_path / name)


def test_no_file_of_a_project_makes_a_command_wait(tmp_path: Path) -> None:
    for name in ("env", witness.FILE, witness.COMMITS, heartbeat.FILE, "data", "a.journal"):
        os.mkfifo(tmp_path / name)
    pipes = [
        lambda: environment_file.load(tmp_path / "env", {}),
        lambda: witness.read(tmp_path, b"key"),
        lambda: heartbeat.age_s(tmp_path / heartbeat.FILE),
        lambda: blobs.file_digest(tmp_path / "data"),
        lambda: journal.read(tmp_path / "a.journal"),
        lambda: journal.find(tmp_path, "id", 1),
    ]
    for read in pipes:
        with pytest.raises(OSError, match="not an ordinary file"):
            read()
    assert witness.commits(tmp_path, b"key") is None  # nobody can tell, which the doctor says


def test_a_lock_waits_for_its_holder_alone(tmp_path: Path) -> None:
    (tmp_path / "locks").mkdir()
    os.mkfifo(tmp_path / "key")
    with locks.shared(tmp_path / "locks" / "versions", busy="busy"):
        pass
