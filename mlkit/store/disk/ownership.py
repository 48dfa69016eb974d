"""Owners and modes of the files that mlkit executes or trusts: who else could change them.

Only finds faults: ``safe_directories`` refuses a project, ``doctor`` reports.
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
_SECRETS: Final = (".mlkit", ".mlkit/key", ".mlkit/env")
_TRUSTED: Final = (
    *_SECRETS, ".mlkit/witness", ".mlkit/commits", ".mlkit/locks", "schemas",
    "ml.sqlite", "ml.sqlite-wal", "ml.sqlite-shm", "data", "artifacts", "log", "log/journal",
    "backups", "quarantine",
)  # fmt: skip


class Fault(NamedTuple):
    """A file or folder that another user owns or may change."""

    path: Path
    said: str
    fix: str
    by_group: bool = False


class OwnershipPolicy:
    """The policy of who may own and change files: this user, root, and the caller of sudo.

    With ``group`` the group of a file may change it too, as in a project that a team shares.
    Members of the group ``of_group`` may own files of that group.
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
        """Yield the faults of each path, of the target of a link, and of the folders above."""
        seen: set[Path] = set()
        for path in paths:
            if path.is_symlink():
                yield from self._check_owner(path, path.lstat())
            real = Path(os.path.realpath(path))  # unlike resolve(), no error for a cycle of links
            if real in seen or not real.exists():
                continue
            seen.add(real)
            found = real.stat()
            yield from self._check_owner(real, found)
            yield from self._check_mode(real, found)
            for parent in real.parents:
                if parent not in seen:
                    seen.add(parent)
                    yield from self._check_parent(parent)

    def _check_owner(self, path: Path, found: os.stat_result) -> Iterator[Fault]:
        if found.st_uid not in self._owners and not self._is_colleague(found):
            yield Fault(path, f"{path} belongs to {_user(found.st_uid)}", _own(path))

    def _check_mode(self, path: Path, found: os.stat_result) -> Iterator[Fault]:
        if found.st_mode & stat.S_IWOTH:
            yield Fault(path, f"all users may change {path}", f"chmod o-w {path}")
        elif found.st_mode & stat.S_IWGRP and not self._trusts_group(found):
            said = f"{_group(found.st_gid)} may change {path}, and so what mlkit runs"
            yield Fault(path, said, f"chmod g-w {path}", by_group=True)

    def _check_parent(self, folder: Path) -> Iterator[Fault]:
        """Check a parent folder, in which another user could replace the project."""
        found = folder.stat()
        yield from self._check_owner(folder, found)
        if not found.st_mode & stat.S_ISVTX:  # sticky: only the owner of a file may rename it
            yield from self._check_mode(folder, found)

    def _is_colleague(self, found: os.stat_result) -> bool:
        group = self._of_group
        return group == found.st_gid and is_member(found.st_uid, found.st_gid)

    def _trusts_group(self, found: os.stat_result) -> bool:
        return self._group or _is_private(found.st_gid, found.st_uid)


def is_member(user: int, group: int) -> bool:
    """Tell whether ``user``, the owner of a file of ``group``, is a member of it.

    Only a member can give a file to a group, so a user without a name here (in a container) counts
    as one. Others are looked up by name, because LDAP need not list all users.
    """
    try:
        known = pwd.getpwuid(user)
    except KeyError:
        return True
    return group in os.getgrouplist(known.pw_name, known.pw_gid)


def executed(root: Path) -> Iterator[Path]:
    """Yield the project folder, the files in it that Python might execute, and the settings.

    The key and ``.mlkit/env`` count too: a model signed with the key is executed when it is loaded,
    and a variable can name code.
    """
    yield root
    yield from (root / name for name in _SECRETS if (root / name).exists())
    yield from _code(root, _NO_CODE, {root.resolve()})


def trusted(root: Path) -> Iterator[Path]:
    """Yield the files and folders of a project whose contents mlkit trusts."""
    yield from (root / name for name in _TRUSTED if (root / name).exists())
    for store in ("data", "artifacts"):
        yield from (path for path in (root / store).rglob("*") if path.exists())


def _code(folder: Path, skipped: frozenset[str], seen: set[Path]) -> Iterator[Path]:
    """Yield the code below a folder, without subfolders that cannot be imported."""
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
    """Tell whether ``user`` is the only member of the group, as in a user private group.

    The group of root counts as private: its members must be trusted anyway.
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
