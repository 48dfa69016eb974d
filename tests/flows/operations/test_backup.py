"""A backup holds everything and is sound to the last byte, or there is none."""

import io
import os
import shutil
import signal
import stat
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from mlkit.errors import (
    BusyError,
    CheckFailedError,
    ConflictError,
    DamagedError,
    InvalidInputError,
    MlkitError,
)
from mlkit.flows.data import named_files, version_files
from mlkit.flows.operations import audit_check, backup, restore
from mlkit.project import BEFORE_UPGRADE, Project, open_project
from mlkit.store import audit
from mlkit.store.disk import archive, failpoints


def _members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]


def _repack(file: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Write the backup again with other members, its manifest as it was."""
    members = _members(file)
    change(members)
    changed = file.with_name("changed.mlkit.tar")
    with tarfile.open(changed, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return changed


def _alter(contents: dict[str, bytes], **changes: Any) -> None:
    manifest = msgspec.json.decode(contents[archive.MANIFEST])
    contents[archive.MANIFEST] = msgspec.json.encode(manifest | changes)


def test_a_backup_holds_what_the_database_names_and_what_the_user_wrote(furnished: Project) -> None:
    root = furnished.root
    (root / "features.py").write_text("x = 1\n")
    (root / "mine").mkdir()
    (root / "mine" / "__init__.py").write_text("")
    (root / "rows.csv").write_text("not part of it")
    made = backup.create(furnished)
    assert made.file.parent == furnished.backups_dir
    assert stat.S_IMODE(made.file.stat().st_mode) == 0o600
    names = list(_members(made.file))
    assert names[0] == archive.MANIFEST
    assert {"ml.sqlite", "mlkit.toml", ".mlkit/key", "features.py", "mine/__init__.py"} <= set(
        names
    )
    kinds = {Path(name).suffix for name in names if "sha256" in name}
    assert kinds == {".parquet", ".joblib", ".npz"}
    assert any(name.startswith("log/churn/") for name in names)
    assert "rows.csv" not in names
    assert not list(furnished.backups_dir.glob(".*"))


def test_a_restored_project_is_the_one_that_was_backed_up(
    furnished: Project, tmp_path: Path
) -> None:
    file = tmp_path / "shop.mlkit.tar"
    backup.create(furnished, file)
    done = restore.restore(file, tmp_path / "again")
    assert done.kept is None
    again = open_project(done.project, environment={})
    assert again.key == furnished.key
    with again.read() as s, furnished.read() as t:
        seq, _ = backup.last_audit(t)
        assert backup.last_audit(s)[0] == seq + 1
        last = audit.last_event(s)
        assert last is not None
        assert (last.action, last.previous) == ("restore", backup.last_audit(t)[1])
        assert last.details["backup"] == file.name
        for name, digest in named_files.of(s, again).items():
            assert archive.describe(name, again.root / name).sha256 == digest
    assert audit_check.faults(again) == []
    again.close()
    assert stat.S_IMODE(again.root.stat().st_mode) == 0o700
    for name in _members(file).keys() - {archive.MANIFEST}:
        assert stat.S_IMODE((again.root / name).stat().st_mode) == 0o600, name


def test_a_backup_under_load_is_a_prefix_of_what_was_written(
    furnished: Project, tmp_path: Path
) -> None:
    stop = threading.Event()
    written = [0]

    def write() -> None:
        while not stop.is_set():
            with furnished.write() as s:
                audit.record(s, furnished.now(), actor="t", action="count", subject="x", details={})
            written[0] += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        files = [backup.create(furnished, tmp_path / f"{n}.mlkit.tar").file for n in range(5)]
    finally:
        stop.set()
        writer.join()
    ends = [archive.read(file).audit_seq for file in files]
    assert written[0] > 0
    assert ends == sorted(ends)
    for file in files:
        restore.verify(file)


def test_a_file_that_exists_is_not_overwritten(furnished: Project, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("precious")
    with pytest.raises(ConflictError, match="exists already"):
        backup.create(furnished, tmp_path / "old")
    with pytest.raises(InvalidInputError, match="no folder"):
        backup.create(furnished, tmp_path / "nowhere" / "new")
    assert (tmp_path / "old").read_text() == "precious"


def test_a_damaged_or_lost_blob_stops_the_backup_without_a_trace(furnished: Project) -> None:
    (blob,) = furnished.data.root.glob("??/*")
    blob.write_bytes(b"changed")
    with pytest.raises(DamagedError, match="not what was recorded"):
        backup.create(furnished)
    blob.unlink()
    with pytest.raises(DamagedError, match="is missing"):
        backup.create(furnished)
    assert list(furnished.backups_dir.iterdir()) == []


def test_two_backups_at_once_are_refused(furnished: Project) -> None:
    with (
        furnished.lock(version_files.BACKUP, busy=""),
        pytest.raises(BusyError, match="another backup"),
    ):
        backup.create(furnished)


def test_the_job_keeps_the_newest_backups(furnished: Project) -> None:
    for number in range(9):
        old = furnished.backups_dir / f"2026010{number}T000000Z{backup.SUFFIX}"
        old.touch()
        os.utime(old, (number, number))
    said = backup.rotate(furnished)
    left = backup.list_backups(furnished)
    assert len(left) == furnished.settings.backup.keep == 7
    assert left[0].stat().st_size > 0
    assert "deleted 3 older" in said


def test_the_database_from_before_an_upgrade_goes_with_the_backups_of_its_age(
    furnished: Project,
) -> None:
    for number in range(1, 9):
        old = furnished.backups_dir / f"2026010{number}T000000Z{backup.SUFFIX}"
        old.touch()
        os.utime(old, (number, number))
    first, last = (furnished.backups_dir / f"{BEFORE_UPGRADE}001{n}.sqlite" for n in (0, 4))
    for file, changed in ((first, 1), (last, 5)):
        file.touch()
        os.utime(file, (changed, changed))
    assert "deleted 3 older" in backup.rotate(furnished)
    assert last.exists()
    assert not first.exists()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_backup_is_refused(furnished: Project, share: float) -> None:
    file = backup.create(furnished).file
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckFailedError, match="is damaged"):
        restore.verify(file)


def test_every_changed_byte_of_a_member_is_found(furnished: Project) -> None:
    file = backup.create(furnished).file
    with tarfile.open(file) as tar:
        places = [info.offset_data + info.size // 2 for info in tar if info.size]
    content = file.read_bytes()
    for place in places:
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises((CheckFailedError, InvalidInputError)):
            restore.verify(file)
    file.write_bytes(content)
    restore.verify(file)


@pytest.mark.parametrize(
    "name", ["../out", "/etc/out", "a/../../out", "a//b", "./a", "a\\b", "a\nb", "ml.sqlite/x", ""]
)
def test_a_name_that_leaves_the_folder_is_refused_before_a_byte_is_written(
    furnished: Project, tmp_path: Path, name: str
) -> None:
    def add(members: dict[str, bytes]) -> None:
        members[name] = b"bad"
        entry = msgspec.to_builtins(archive.describe(name, b"bad"))
        known = msgspec.json.decode(members[archive.MANIFEST])["members"]
        _alter(members, members=[*known, entry])

    changed = _repack(backup.create(furnished, tmp_path / "b.mlkit.tar").file, add)
    with pytest.raises(CheckFailedError, match="damaged"):
        restore.restore(changed, tmp_path / "room" / "target")
    assert list((tmp_path / "room").iterdir()) == []


def test_members_that_are_links_extra_or_missing_are_refused(
    furnished: Project, tmp_path: Path
) -> None:
    file = backup.create(furnished, tmp_path / "b.mlkit.tar").file
    extra = _repack(file, lambda members: members.update(more=b"x"))
    with pytest.raises(CheckFailedError, match="more than its manifest"):
        restore.verify(extra)
    missing = _repack(file, lambda members: members.pop(".mlkit/key") and None)
    with pytest.raises(CheckFailedError, match="stands where"):
        restore.verify(missing)
    linked = tmp_path / "linked.mlkit.tar"
    with tarfile.open(file) as old, tarfile.open(linked, "w") as new:
        for info in old:
            if info.name == "mlkit.toml":
                info.type, info.linkname, info.size = tarfile.SYMTYPE, "/etc/passwd", 0
                new.addfile(info)
            else:
                new.addfile(info, old.extractfile(info))
    with pytest.raises(CheckFailedError, match="stands where"):
        restore.verify(linked)


def test_a_manifest_that_promises_another_history_is_refused(
    furnished: Project, tmp_path: Path
) -> None:
    file = backup.create(furnished, tmp_path / "b.mlkit.tar").file
    cases: list[tuple[dict[str, Any], str]] = [
        ({"audit_seq": 99}, "audit trail does not end"),
        ({"schema": "0000"}, "schema of its manifest"),
    ]
    for changes, said in cases:
        changed = _repack(file, lambda members, c=changes: _alter(members, **c))
        with pytest.raises(CheckFailedError, match=said):
            restore.verify(changed)
    newer = _repack(file, lambda members: _alter(members, format=99))
    with pytest.raises(InvalidInputError, match="upgrade mlkit"):
        restore.verify(newer)
    later = _repack(file, lambda members: _alter(members, schema="9999"))
    with pytest.raises(ConflictError, match="newer than this program"):
        restore.verify(later)


def test_something_else_is_not_a_backup(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    (tmp_path / "empty").touch()
    with tarfile.open(tmp_path / "foreign", "w") as tar:
        tar.addfile(tarfile.TarInfo("hello"))
    for name in ("text", "empty", "foreign", "absent"):
        with pytest.raises(InvalidInputError):
            restore.verify(tmp_path / name)


def test_an_edited_audit_trail_is_found_in_the_backup(furnished: Project) -> None:
    with furnished.write() as s:
        s.execute(text("DROP TRIGGER audit_event_no_change"))
        s.execute(text("UPDATE audit_event SET actor = 'nobody' WHERE seq = 1"))
    with pytest.raises(CheckFailedError, match="breaks at event 1"):
        restore.verify(backup.create(furnished).file)


def test_a_folder_that_is_not_empty_is_kept_only_with_replace(
    furnished: Project, tmp_path: Path
) -> None:
    file = backup.create(furnished, tmp_path / "b.mlkit.tar").file
    furnished.close()
    (furnished.root / "note").write_text("since then")
    with pytest.raises(ConflictError, match="not empty"):
        restore.restore(file, furnished.root)
    done = restore.restore(file, furnished.root, replace=True)
    assert done.kept is not None
    assert (done.kept / "note").read_text() == "since then"
    assert not (furnished.root / "note").exists()
    open_project(furnished.root, environment={}).close()


def test_a_project_in_use_is_not_replaced(furnished: Project, tmp_path: Path) -> None:
    file = backup.create(furnished, tmp_path / "b.mlkit.tar").file
    with (
        furnished.lock("daemon", busy=""),
        pytest.raises(BusyError, match=r"in use \(daemon\)"),
    ):
        restore.restore(file, furnished.root, replace=True)


def test_a_full_disk_is_named_before_anything_is_written(
    furnished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = backup.create(furnished, tmp_path / "b.mlkit.tar").file
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=10))
    with pytest.raises(MlkitError, match="make room"):
        restore.restore(file, tmp_path / "target")
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("moment", ["backup.snapshot", "backup.written"])
def test_a_killed_backup_leaves_nothing_that_looks_like_one(
    furnished: Project, cli: Any, moment: str
) -> None:
    killed = cli.process("backup", "create", env={**os.environ, failpoints.VARIABLE: moment})
    assert killed.returncode == -signal.SIGKILL
    assert backup.list_backups(furnished) == []
    restore.verify(backup.create(furnished).file)
    assert not list(furnished.backups_dir.glob(".*"))


@pytest.mark.parametrize("moment", ["restore.unpacked", "restore.moved"])
def test_a_killed_restore_loses_neither_the_old_project_nor_the_backup(
    furnished: Project, cli: Any, tmp_path: Path, moment: str
) -> None:
    file = backup.create(furnished, tmp_path / "b.mlkit.tar").file
    furnished.close()
    words = ("backup", "restore", file, "--to", furnished.root, "--replace")
    killed = cli.process(*words, env={**os.environ, failpoints.VARIABLE: moment})
    assert killed.returncode == -signal.SIGKILL
    kept = furnished.root.with_name("project.before-restore-1")
    old = furnished.root if moment == "restore.unpacked" else kept
    open_project(old, environment={}).close()
    cli(*words)
    open_project(furnished.root, environment={}).close()
