"""Who can change the files that mlkit runs and believes: their owners and their modes.

Knows nothing of what is done about it: ``safe_directories`` refuses, ``doctor`` reports.
"""

import grp
import os
import pwd
import stat
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

_CODE: Final = (".py", ".pyc", ".so", ".pth", ".toml")
_NO_CODE: Final = frozenset({"artifacts", "backups", "data", "log", "quarantine", "schemas"})
_VOUCHING: Final = (".mlkit", ".mlkit/key", ".mlkit/env")
_BELIEVED: Final = (
    *_VOUCHING, ".mlkit/witness", ".mlkit/commits", ".mlkit/locks", "schemas",
    "ml.sqlite", "ml.sqlite-wal", "ml.sqlite-shm", "data", "artifacts", "log", "log/journal",
    "backups", "quarantine",
)  # fmt: skip


class Fault(NamedTuple):
    """A file or folder that somebody else owns or may change."""

    path: Path
    said: str
    fix: str
    by_group: bool = False


class Judge:
    """Who may own and change files here: this user and root, and whoever called sudo.

    With ``group`` the group of a file may change it, too: a project that a team shares. Members of
    the group ``of_group`` may own files of that group.
    """

    def __init__(
        self, *, group: bool, environment: Mapping[str, str], of_group: int | None = None
    ) -> None:
        self._group = group
        self._of_group = of_group
        self._owners = {0, os.geteuid()}
        caller = environment.get("SUDO_UID", "")
        if os.geteuid() == 0 and caller.isdecimal():
            self._owners.add(int(caller))

    def faults(self, paths: Iterable[Path]) -> Iterator[Fault]:
        """Yield what is wrong with each path, with what it leads to, and with the folders above."""
        seen: set[Path] = set()
        for path in paths:
            if path.is_symlink():
                yield from self._owned(path, path.lstat())
            real = Path(os.path.realpath(path))  # without an error for a circle of links
            if real in seen or not real.exists():
                continue
            seen.add(real)
            found = real.stat()
            yield from self._owned(real, found)
            yield from self._closed(real, found)
            for parent in real.parents:
                if parent not in seen:
                    seen.add(parent)
                    yield from self._above(parent)

    def _owned(self, path: Path, found: os.stat_result) -> Iterator[Fault]:
        if found.st_uid not in self._owners and not self._is_colleague(found):
            yield Fault(path, f"{path} belongs to {_user(found.st_uid)}", _own(path))

    def _closed(self, path: Path, found: os.stat_result) -> Iterator[Fault]:
        if found.st_mode & stat.S_IWOTH:
            yield Fault(path, f"all users may change {path}", f"chmod o-w {path}")
        elif found.st_mode & stat.S_IWGRP and not self._trusts_group(found):
            said = f"{_group(found.st_gid)} may change {path}, and so what mlkit runs"
            yield Fault(path, said, f"chmod g-w {path}", by_group=True)

    def _above(self, folder: Path) -> Iterator[Fault]:
        """Judge a folder in which somebody else could put another one in our place."""
        found = folder.stat()
        yield from self._owned(folder, found)
        if not found.st_mode & stat.S_ISVTX:  # there only the owner of a file may rename it
            yield from self._closed(folder, found)

    def _is_colleague(self, found: os.stat_result) -> bool:
        group = self._of_group
        return group == found.st_gid and is_member(found.st_uid, found.st_gid)

    def _trusts_group(self, found: os.stat_result) -> bool:
        return self._group or _is_private(found.st_gid, found.st_uid)


def is_member(user: int, group: int) -> bool:
    """Tell whether an owner of files of a group is in it.

    Only a member can give a file to a group, so one who has no name here (in a container) is taken
    for one. Others are looked up by name: LDAP, for one, need not list all users.
    """
    try:
        known = pwd.getpwuid(user)
    except KeyError:
        return True
    return group in os.getgrouplist(known.pw_name, known.pw_gid)


def executed(root: Path) -> Iterator[Path]:
    """Yield the project folder and all in it that Python might run, and the settings.

    So may be a model that the key vouches for, and what a variable of ``.mlkit/env`` names.
    """
    yield root
    yield from (root / name for name in _VOUCHING if (root / name).exists())
    yield from _code(root, _NO_CODE, {root.resolve()})


def believed(root: Path) -> Iterator[Path]:
    """Yield the files and folders of a project whose contents mlkit takes for its own."""
    yield from (root / name for name in _BELIEVED if (root / name).exists())
    for store in ("data", "artifacts"):
        yield from (path for path in (root / store).rglob("*") if path.exists())


def _code(folder: Path, skipped: frozenset[str], seen: set[Path]) -> Iterator[Path]:
    """Yield the code below a folder; one that cannot be imported has none."""
    for entry in sorted(folder.iterdir()):
        if entry.is_dir():
            real = entry.resolve()
            if entry.name.isidentifier() and entry.name not in skipped and real not in seen:
                seen.add(real)
                yield entry
                yield from _code(entry, frozenset(), seen)
        elif entry.suffix in _CODE:
            yield entry


@lru_cache
def _is_private(group: int, user: int) -> bool:
    """Tell whether ``user`` is alone in the group, as where each user has one of the same name.

    That of root counts as such: who is in it must be trusted by all.
    """
    if group == 0:
        return True
    try:
        others = set(grp.getgrgid(group).gr_mem) - {pwd.getpwuid(user).pw_name}
    except KeyError:
        return False
    return not others and all(
        each.pw_uid == user for each in pwd.getpwall() if each.pw_gid == group
    )


def _user(number: int) -> str:
    try:
        return f"the user {pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"the user {number}"


def _group(number: int) -> str:
    try:
        return f"the group {grp.getgrgid(number).gr_name}"
    except KeyError:
        return f"the group {number}"


def _own(path: Path) -> str:
    return f"chown {os.geteuid()} {path}, if it is yours"
