"""A project that was come upon is run only if nobody else can write what it runs."""

import os
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest

from mlkit.errors import InvalidInputError, MlkitError
from mlkit.project import Project, locate_project
from mlkit.store.disk import ownership, safe_directories

STRANGER = 12_345  # a user and a group that the machine need not know

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The environment of a user who has allowed nothing."""
    return {"XDG_CONFIG_HOME": str(tmp_path / "config")}


@pytest.fixture
def shop(project: Project) -> Path:
    """A project with code in all the places where code may be."""
    root = project.root
    for name in ("features.py", "rules.py", "jobs/__init__.py", "jobs/nightly.py", "own/deep/x.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("raise SystemExit('run!')\n")
    (root / ".mlkit" / "env").touch(mode=0o600)
    return root


def _find(folder: Path, environment: dict[str, str]) -> Path:
    with chdir(folder):
        return locate_project(environment=environment).root


def _configure(home: dict[str, str], text: str) -> Path:
    file = Path(home["XDG_CONFIG_HOME"]) / "mlkit" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return file


def test_a_project_of_ones_own_is_found_from_any_depth(shop: Path, home: dict[str, str]) -> None:
    assert _find(shop / "own" / "deep", home) == shop.resolve()


EXECUTED = (
    ".", "mlkit.toml", "features.py", "rules.py", "jobs", "jobs/__init__.py", "jobs/nightly.py",
    "own", "own/deep", "own/deep/x.py", ".mlkit", ".mlkit/key", ".mlkit/env",
)  # fmt: skip


@pytest.mark.parametrize("name", EXECUTED)
def test_one_that_all_users_may_change_is_refused(
    shop: Path, home: dict[str, str], name: str
) -> None:
    (shop / name).chmod(0o777)
    with pytest.raises(MlkitError, match=r"all users may change.*--project"):
        _find(shop, home)


@root_only
@pytest.mark.parametrize("name", EXECUTED)
def test_one_that_another_user_owns_is_refused(shop: Path, home: dict[str, str], name: str) -> None:
    os.chown(shop / name, STRANGER, 0)
    with pytest.raises(MlkitError, match=f"belongs to the user {STRANGER}"):
        _find(shop, home)


@root_only
@pytest.mark.parametrize("group", [False, True])
def test_one_that_a_group_may_change_is_refused_unless_groups_are_allowed(
    shop: Path, home: dict[str, str], *, group: bool
) -> None:
    os.chown(shop / "features.py", -1, STRANGER)
    (shop / "features.py").chmod(0o664)
    if group:
        safe_directories.refuse(shop, home, group=True)
    else:
        with pytest.raises(MlkitError, match=f"the group {STRANGER} may change"):
            safe_directories.refuse(shop, home)


@root_only
@pytest.mark.parametrize("name", ["features.py", "jobs"])
def test_a_link_to_what_another_user_owns_is_refused(
    shop: Path, home: dict[str, str], tmp_path: Path, name: str
) -> None:
    elsewhere = tmp_path / "elsewhere" / name
    elsewhere.parent.mkdir()
    (shop / name).rename(elsewhere)
    (shop / name).symlink_to(elsewhere)
    assert _find(shop, home) == shop.resolve()
    os.chown(elsewhere, STRANGER, 0)
    with pytest.raises(MlkitError, match="belongs to"):
        _find(shop, home)
    os.chown(elsewhere, 0, 0)
    elsewhere.parent.chmod(0o777)
    with pytest.raises(MlkitError, match=r"all users may change .*elsewhere"):
        _find(shop, home)


@root_only
def test_planted_bytecode_is_code(shop: Path, home: dict[str, str]) -> None:
    cache = shop / "own" / "__pycache__"
    cache.mkdir()
    (cache / "x.cpython-311.pyc").touch()
    os.chown(cache / "x.cpython-311.pyc", STRANGER, 0)
    with pytest.raises(MlkitError, match="belongs to"):
        _find(shop, home)


def test_a_folder_above_that_all_may_change_is_as_bad_unless_it_is_sticky(
    shop: Path, home: dict[str, str]
) -> None:
    shop.parent.chmod(0o1777)
    assert _find(shop, home) == shop.resolve()
    shop.parent.chmod(0o777)
    with pytest.raises(MlkitError, match="all users may change"):
        _find(shop, home)


def test_a_project_in_a_folder_where_all_may_write_is_refused_although_it_is_sticky(
    shop: Path, home: dict[str, str]
) -> None:
    shop.chmod(0o1777)
    with pytest.raises(MlkitError, match="all users may change"):
        _find(shop / "own", home)


def test_whoever_names_it_has_it(shop: Path, home: dict[str, str]) -> None:
    (shop / "features.py").chmod(0o666)
    assert locate_project(shop, environment=home).root == shop.resolve()
    named = {**home, "MLKIT_PROJECT": str(shop)}
    assert locate_project(environment=named).root == shop.resolve()


@pytest.mark.parametrize("value", ["{root}", "/nowhere:{root}/", "*"])
def test_a_variable_allows_it(shop: Path, home: dict[str, str], value: str) -> None:
    (shop / "features.py").chmod(0o666)
    assert _find(shop, {**home, safe_directories.VARIABLE: value.format(root=shop)})


@pytest.mark.parametrize("value", ["", "/nowhere", "{root}/jobs", "{root}/.."])
def test_a_variable_that_names_other_folders_does_not(
    shop: Path, home: dict[str, str], value: str
) -> None:
    (shop / "features.py").chmod(0o666)
    with pytest.raises(MlkitError, match="is not run"):
        _find(shop, {**home, safe_directories.VARIABLE: value.format(root=shop)})


def test_a_file_of_the_user_allows_it(shop: Path, home: dict[str, str]) -> None:
    (shop / "features.py").chmod(0o666)
    file = _configure(home, f'safe_directories = ["{shop}"]')
    assert _find(shop, home) == shop.resolve()
    file.chmod(0o666)
    with pytest.raises(MlkitError, match="is not trusted"):
        _find(shop, home)


def test_a_wrong_file_of_the_user_is_named(shop: Path, home: dict[str, str]) -> None:
    (shop / "features.py").chmod(0o666)
    _configure(home, "safe_folders = []")
    with pytest.raises(InvalidInputError, match=r"config\.toml.*safe_folders"):
        _find(shop, home)


@root_only
def test_who_calls_sudo_keeps_the_own_projects_and_root_alone_does_not_run_them(
    shop: Path, home: dict[str, str]
) -> None:
    for path in (shop, *shop.rglob("*")):
        os.chown(path, STRANGER, STRANGER)
    assert _find(shop, {**home, "SUDO_UID": str(STRANGER)}) == shop.resolve()
    with pytest.raises(MlkitError, match="belongs to"):
        _find(shop, home)


@root_only
def test_only_root_is_believed_about_who_called_sudo(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: STRANGER + 1)
    policy = ownership.OwnershipPolicy(group=False, environment={"SUDO_UID": str(STRANGER)})
    os.chown(shop / "features.py", STRANGER, 0)
    assert [fault.path.name for fault in policy.faults([shop / "features.py"])] == ["features.py"]


@pytest.mark.parametrize("words", [["status"], ["doctor"], ["db", "status"], ["job", "list"]])
def test_no_command_runs_what_it_came_upon(
    shop: Path, home: dict[str, str], words: list[str]
) -> None:
    (shop / "jobs" / "__init__.py").chmod(0o666)
    done = subprocess.run(
        [sys.executable, "-m", "mlkit", *words],
        cwd=shop / "own" / "deep", env={**os.environ, **home}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "is not run" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_circle_of_links_in_the_place_of_code_is_nobodys(tmp_path: Path) -> None:
    (tmp_path / "features.py").symlink_to("features.py")
    (tmp_path / "jobs").symlink_to("jobs")
    tmp_path.chmod(0o700)
    safe_directories.refuse(tmp_path, {"MLKIT_SAFE_DIRECTORY": str(tmp_path / "jobs")})
