"""A restore that is killed is finished or undone by the next command; nothing odd is unpacked."""

import io
import os
import signal
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mlkit.errors import CheckFailedError, InvalidInputError, MlkitError
from mlkit.flows.operations import audit_check, backup, copies, restore
from mlkit.project import Project, open_project
from mlkit.store.disk import archive, failpoints


@pytest.mark.parametrize(
    ("moment", "is_new"),
    [
        ("restore.unpacked", False),
        ("restore.ready", False),
        ("restore.moved", True),
        ("restore.placed", True),
    ],
)
def test_the_next_command_finishes_or_undoes_what_was_killed(
    furnished: Project, cli: Any, tmp_path: Path, moment: str, *, is_new: bool
) -> None:
    file = backup.create(furnished, tmp_path / "b.mlkit.tar").file
    (furnished.root / "not-in-it").touch()
    furnished.close()
    words = ("backup", "restore", file, "--to", furnished.root, "--replace")
    killed = cli.process(*words, env={**os.environ, failpoints.VARIABLE: moment})
    assert killed.returncode == -signal.SIGKILL
    cli("status")
    assert (furnished.root / "not-in-it").exists() != is_new
    assert not list(furnished.root.parent.glob(".*"))
    with closing(open_project(furnished.root, environment={})) as project:
        assert audit_check.faults(project) == []


def test_a_restore_to_a_new_place_that_was_killed_leaves_no_copy(
    furnished: Project, cli: Any, tmp_path: Path
) -> None:
    file = backup.create(furnished, tmp_path / "b.mlkit.tar").file
    target = tmp_path / "new"
    killed = cli.process(
        "backup", "restore", file, "--to", target,
        env={**os.environ, failpoints.VARIABLE: "restore.unpacked"},
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / f".new.restoring-{os.geteuid()}").stat().st_mode & 0o777 == 0o700
    with pytest.raises(MlkitError, match="is not a project"):
        open_project(target, environment={})
    assert not (tmp_path / f".new.restoring-{os.geteuid()}").exists()


def test_a_backup_elsewhere_that_was_killed_is_cleared_away(
    furnished: Project, cli: Any, tmp_path: Path
) -> None:
    (tmp_path / "disk").mkdir()
    killed = cli.process(
        "backup", "create", tmp_path / "disk" / "b.tar",
        env={**os.environ, failpoints.VARIABLE: "backup.written"},
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    assert list((tmp_path / "disk").iterdir())
    assert copies.sweep(furnished) == 2  # that, and the snapshot of the database
    assert list((tmp_path / "disk").iterdir()) == []
    assert list(furnished.backups_dir.glob(".*")) == []


def test_a_verification_unpacks_no_more_than_it_needs(
    furnished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = backup.create(furnished, tmp_path / "b.mlkit.tar").file
    seen: set[str] = set()
    check = restore._check_database

    def look(project: Project, *rest: Any) -> None:
        seen.update(path.name for path in project.root.rglob("*") if path.is_file())
        check(project, *rest)

    monkeypatch.setattr(restore, "_check_database", look)
    restore.verify(file)
    assert seen == {"ml.sqlite", "mlkit.toml", "key"}


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.mkdir()


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [_pipe, _folder, _device])
def test_what_is_no_plain_file_is_no_backup_and_nobody_waits_for_it(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "b.mlkit.tar")
    with pytest.raises(MlkitError, match=r"plain file|directory"):
        restore.verify(tmp_path / "b.mlkit.tar")


def test_a_manifest_that_nests_too_deeply_is_an_error_and_hides_nothing(
    furnished: Project,
) -> None:
    file = furnished.backups_dir / f"odd{backup.SUFFIX}"
    content = b'{"x":' + b"[" * 900_000 + b"]" * 900_000 + b"}"
    with tarfile.open(file, "w") as tar:
        info = tarfile.TarInfo("manifest.json")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    with pytest.raises(CheckFailedError, match=r"its manifest\.json cannot be read"):
        restore.verify(file)
    assert audit_check.faults(furnished) == []


@pytest.mark.parametrize(
    "odd",
    [{"created_at": "2026-01-01T00:00:00"}, {"audit_sealed_from": 1 << 63}, {"audit_seq": -1}],
)
def test_a_manifest_with_a_value_that_could_not_be_is_an_error_and_hides_nothing(
    furnished: Project, odd: dict[str, Any]
) -> None:
    audit_check.seal(furnished, "a beginning")
    made = backup.create(furnished).file
    file = furnished.backups_dir / "odd.mlkit.tar"
    said = msgspec.structs.asdict(archive.manifest(made)) | odd
    content = msgspec.json.encode(said)
    with tarfile.open(file, "w") as tar:
        info = tarfile.TarInfo("manifest.json")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    with pytest.raises(CheckFailedError, match=r"its manifest\.json cannot be read"):
        restore.verify(file)
    assert audit_check.faults(furnished) == []


def _other_type(kind: bytes, link: str = "") -> Callable[[tarfile.TarInfo], None]:
    def change(info: tarfile.TarInfo) -> None:
        info.type, info.linkname, info.size = kind, link, 0

    return change


def _sparse(info: tarfile.TarInfo) -> None:
    info.pax_headers = {
        "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": info.name,
        "GNU.sparse.realsize": str(1 << 50),
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        _other_type(tarfile.FIFOTYPE), _other_type(tarfile.CHRTYPE), _other_type(tarfile.BLKTYPE),
        _other_type(tarfile.SYMTYPE, "/etc/passwd"), _other_type(tarfile.LNKTYPE, "ml.sqlite"),
        _other_type(tarfile.DIRTYPE), _other_type(tarfile.CONTTYPE), _sparse,
    ],
    ids=["pipe", "character", "block", "link", "hard-link", "folder", "contiguous", "sparse"],
)  # fmt: skip
@pytest.mark.parametrize("which", ["manifest.json", "mlkit.toml"])
def test_a_member_of_another_kind_is_refused(
    furnished: Project, tmp_path: Path, change: Callable[[tarfile.TarInfo], None], which: str
) -> None:
    file = backup.create(furnished, tmp_path / "b.mlkit.tar").file
    changed = tmp_path / "changed.mlkit.tar"
    with tarfile.open(file) as old, tarfile.open(changed, "w", format=tarfile.PAX_FORMAT) as new:
        for info in old:
            content = old.extractfile(info)
            assert content is not None
            if info.name == which:
                change(info)
            new.addfile(info, content if info.isreg() else None)
    with pytest.raises((CheckFailedError, InvalidInputError)):
        restore.verify(changed)
    with pytest.raises((CheckFailedError, InvalidInputError)):
        restore.restore(changed, tmp_path / "target")
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(
    "name",
    [
        "../out", "/out", "a/../../out", "a//b", "./a", "a\\b", "a\nb", "ml.sqlite-wal",
        "ml.sqlite-journal", "ml.sqlite-shm", "mlkit.toml", "mlkit.toml/x", "", ".",
    ],
)  # fmt: skip
def test_a_name_that_a_backup_cannot_have_is_refused(
    furnished: Project, tmp_path: Path, name: str
) -> None:
    file = backup.create(furnished, tmp_path / "b.mlkit.tar").file
    changed = tmp_path / "changed.mlkit.tar"
    extra = archive.describe(name, b"x")
    with tarfile.open(file) as old, tarfile.open(changed, "w", format=tarfile.PAX_FORMAT) as new:
        for info in old:
            stream = old.extractfile(info)
            assert stream is not None
            content = stream.read()
            if info.name == archive.MANIFEST:
                found = msgspec.json.decode(content, type=archive.Manifest)
                members = (*found.members, extra)
                content = msgspec.json.encode(msgspec.structs.replace(found, members=members))
                info.size = len(content)
            new.addfile(info, io.BytesIO(content))
        info = tarfile.TarInfo(name)
        info.size = 1
        new.addfile(info, io.BytesIO(b"x"))
    with pytest.raises(CheckFailedError):
        restore.restore(changed, tmp_path / "deep" / "target")
    assert not (tmp_path / "deep" / "target").exists()
    assert not (tmp_path / "out").exists()
