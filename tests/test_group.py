"""Several Linux users of one group work on a project, and nobody else does."""

import grp
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlkit.errors import InvalidInputError
from mlkit.flows.operations import setup

Run = Callable[..., str]
ANN, BEN, EVE, TEAM = 20_001, 20_002, 20_003, 30_000
COMMANDS = """
import json, os, sys
from click.testing import CliRunner
from mlkit.cli.root import cli
os.umask(0o077)
for words in json.loads(sys.argv[1]):
    done = CliRunner().invoke(cli, words)
    print(f"exit code {done.exit_code}", done.output, flush=True)
"""
# An interpreter in root's own folder is put where others may go, for this process alone.
SCRIPT = """
if [ -n "$TOP" ]; then
    mount --bind "$BASE" "$ROOM" && mount -t tmpfs -o mode=755 none "$TOP" &&
    mkdir -p "$BASE" && mount --bind "$ROOM" "$BASE" || exit 126
fi
exec "$@"
"""

needs_users = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None or shutil.which("unshare") is None,
    reason="only root becomes another user",
)


@pytest.fixture(scope="module")
def python(warm: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A warm ``python`` that can be any user."""
    base = Path(sys.base_prefix).resolve()
    closed = [folder for folder in reversed(base.parents) if not folder.stat().st_mode & 0o001]
    room = tmp_path_factory.mktemp("interpreter")
    names = {"TOP": str(closed[0]) if closed else "", "BASE": str(base), "ROOM": str(room)}
    given = [f"{name}={value}" for name, value in names.items()]
    folder = tmp_path_factory.mktemp("users")
    made = type(warm)(folder, "env", *given, "unshare", "-m", "sh", "-c", SCRIPT, "sh")
    try:
        program = made.program(name="python")
    except AssertionError:
        pytest.skip("the interpreter of these tests is not for other users")
    yield program
    made.stop()


@pytest.fixture
def run_as(python: str) -> Run:
    """Run commands as a user whose own group is that of their name, as Linux makes users."""

    def run(uid: int, root: Path, *commands: str, member: bool = True, killed_at: str = "") -> str:
        names = {
            "WARM_USER": f"{uid} {TEAM if member else uid}", "USER": f"user{uid}",
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent",
            "MLKIT_PROJECT": str(root), "MLKIT_FAILPOINT": killed_at,
        }  # fmt: skip
        words = json.dumps([command.split() for command in commands])
        done = subprocess.run(
            [python, "-c", COMMANDS, words],
            capture_output=True, text=True, check=False, cwd="/", env=names,
        )  # fmt: skip
        return f"{done.stdout}{done.stderr}"

    return run


@pytest.fixture
def shared(churn: Any, run_as: Run) -> Iterator[Path]:
    """A project of Ann's that the team shares, and the rows that it learns from."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))  # others go through it
    folder.chmod(0o755)
    root = folder / "project"
    root.mkdir()
    os.chown(root, ANN, TEAM)
    root.chmod(0o2770)
    churn(200).to_csv(folder / "churn.csv", index=False)
    (root / "mlkit.toml").write_text("[project]\ngroup = true\n")
    os.chown(root / "mlkit.toml", ANN, TEAM)
    (root / "mlkit.toml").chmod(0o660)
    assert "exit code 0 made a project" in run_as(ANN, root, f"init {root}")
    yield root
    shutil.rmtree(folder)


@needs_users
def test_what_one_makes_the_other_goes_on_with(shared: Path, run_as: Run) -> None:
    add = f"data add churn {shared.parent}/churn.csv --target churned"
    learn = "train churn --data churn --estimator linear --promote"
    said = run_as(ANN, shared, add)
    said += run_as(BEN, shared, learn, f"{add} --time since", "backup create", "job run prune")
    said += run_as(ANN, shared, learn, "job run prune", "doctor")
    assert said.count("exit code 0") == said.count("exit code") == 8, said
    assert "ok   permissions: the owner and the group use the project" in said
    assert "is not readable" in run_as(EVE, shared, "status", member=False)
    for path in [shared, *shared.rglob("*")]:
        mode = path.stat().st_mode
        wanted = 0o2770 if path.is_dir() else 0o660
        assert stat.S_IMODE(mode) & ~0o110 | (0o110 if path.is_dir() else 0) == wanted, path
        assert path.stat().st_gid == TEAM, path


@needs_users
def test_a_backup_that_one_has_broken_off_at_home_stands_in_nobodys_way(
    shared: Path, run_as: Run
) -> None:
    home = shared.parent / "home"
    home.mkdir(mode=0o700)
    os.chown(home, ANN, ANN)
    run_as(ANN, shared, f"backup create {home}/mine.tar", killed_at="backup.written")
    assert (home / ".mine.tar.part").is_file()
    said = run_as(BEN, shared, "backup create", "doctor")
    assert "exit code 0 wrote" in said, said
    assert "ok   copies: no command left any" in said
    assert "exit code 0 wrote" in run_as(ANN, shared, f"backup create {home}/new.tar")
    assert [each.name for each in home.iterdir()] == ["new.tar"]


@needs_users
def test_what_one_has_restored_is_the_groups_again(shared: Path, run_as: Run) -> None:
    room = shared.parent / "room"
    room.mkdir()
    os.chown(room, BEN, TEAM)
    room.chmod(0o2770)
    add = f"data add churn {shared.parent}/churn.csv --target churned"
    learn = "train churn --data churn --estimator linear --promote"
    back = f"backup restore {room}/b.tar --to"
    said = run_as(ANN, shared, add, learn, f"backup create {room}/b.tar")
    said += run_as(BEN, shared, f"{back} {room}/new")
    said += run_as(ANN, room / "new", learn, "backup create", f"{back} {room}/new --replace")
    said += run_as(BEN, room / "new", learn, "backup create", "audit verify")
    assert said.count("exit code 0") == said.count("exit code") == 10, said
    assert "closed to group" not in run_as(BEN, room / "new", "doctor")


@needs_users
@pytest.mark.parametrize("moment", ["restore.unpacked", "restore.moved"])
def test_a_restore_that_one_has_broken_off_stands_in_nobodys_way(
    shared: Path, run_as: Run, moment: str
) -> None:
    room = shared.parent / "room"
    room.mkdir()
    os.chown(room, ANN, TEAM)
    room.chmod(0o2770)
    back = f"backup restore {room}/b.tar --to {room}/new"
    run_as(ANN, shared, f"backup create {room}/b.tar", back)
    run_as(ANN, shared, f"{back} --replace", killed_at=moment)
    (left,) = room.glob(".new.restoring*")
    said = run_as(BEN, room / "new", f"{back} --replace")
    said += run_as(BEN, room / "new", "audit verify")
    said += run_as(ANN, room / "new", "audit verify")
    assert said.count("exit code 0") == said.count("exit code") == 3, said
    assert not left.exists()


@needs_users
def test_doctor_names_what_a_colleague_cannot_use(shared: Path, run_as: Run) -> None:
    (shared / ".mlkit" / "key").chmod(0o600)
    found = run_as(ANN, shared, "doctor")
    assert f"1 files and folders are closed to group {TEAM}, first {shared}/.mlkit/key" in found
    assert f"chmod -R g+rwX {shared}" in found
    (shared / ".mlkit" / "key").chmod(0o664)
    assert "other users may use" in run_as(ANN, shared, "doctor")


def test_init_shares_the_folder_with_the_group_that_is_named(tmp_path: Path) -> None:
    group = grp.getgrgid(os.getegid()).gr_name
    umask = os.umask(0o077)
    try:
        setup.make(tmp_path / "project", group=group, environment={})
    finally:
        os.umask(umask)
    for path in [tmp_path / "project", *(tmp_path / "project").rglob("*")]:
        wanted = 0o2770 if path.is_dir() else 0o660
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path
    assert "\nproject.group = true\n" in (tmp_path / "project" / "mlkit.toml").read_text()


def test_what_a_server_writes_is_the_groups(tmp_path: Path) -> None:
    root = tmp_path / "project"
    setup.make(root, group=grp.getgrgid(os.getegid()).gr_name, environment={})
    words = [sys.executable, "-m", "mlkit", "--project", str(root), "serve", "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as server:
        until = time.monotonic() + 20
        while not list(root.glob(".mlkit/metrics/*/*.pulse")) and time.monotonic() < until:
            time.sleep(0.1)
        server.terminate()
    found = {path: path.stat().st_mode for path in (root / ".mlkit").rglob("*")}
    assert any(path.suffix == ".pulse" for path in found)
    for path, mode in found.items():
        assert mode & 0o777 == (0o770 if stat.S_ISDIR(mode) else 0o660), path


def test_a_group_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no group 'nobodys'; make it with: sudo groupadd"):
        setup.make(tmp_path / "project", group="nobodys", environment={})


def test_a_project_without_a_group_is_for_its_owner_alone_whatever_the_umask(
    tmp_path: Path,
) -> None:
    umask = os.umask(0o002)
    try:
        setup.make(tmp_path / "project", environment={})
    finally:
        os.umask(umask)
    for path in [tmp_path / "project", *(tmp_path / "project").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
