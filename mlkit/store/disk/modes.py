"""File permissions: for the owner only or, in a folder that a group shares, also for that group.

A folder is shared if it is group-writable and setgid. Files created in it are shared too, for any
user and umask. Elsewhere files are for the owner only.
"""

import errno
import os
import stat
from pathlib import Path


def is_shared(folder: Path) -> bool:
    """Tell whether a group shares ``folder``."""
    mode = folder.stat().st_mode
    return bool(mode & stat.S_ISGID and mode & stat.S_IWGRP)


def share(folder: Path) -> None:
    """Share ``folder`` with its group; files that are already in it stay as they are."""
    folder.chmod(0o2770)


def make_folder(folder: Path, *, within: Path | None = None) -> None:
    """Create a folder and its missing parents, each shared if its parent is.

    Raises FileNotFoundError if ``within`` does not exist: a project that was moved away under a
    running process must not be created again, empty, in its old place.
    """
    if folder.is_dir():
        return
    if folder == within:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
    make_folder(folder.parent, within=within)
    shared = is_shared(folder.parent)
    try:
        folder.mkdir(mode=0o770 if shared else 0o700)
    except FileExistsError:
        if not folder.is_dir():
            raise
        return
    _grant(folder, folder.stat(), 0o770 if shared else 0o700)


def open_file(path: Path, flags: int) -> int:
    """Open a file and return its handle; a file that is created is shared if its folder is."""
    mode = 0o660 if is_shared(path.parent) else 0o600
    handle = os.open(path, flags | os.O_CLOEXEC, mode)
    _grant(handle, os.fstat(handle), mode)
    return handle


def share_like_folder(path: Path) -> None:
    """Share a file if its folder is shared; for files that another library has created."""
    _grant(path, path.stat(), 0o660 if is_shared(path.parent) else 0o600)


def share_all(folder: Path, like: Path) -> None:
    """Share ``folder`` and its content with the group of ``like``, if that is shared."""
    if not is_shared(like):
        return
    group = like.stat().st_gid
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, -1, group)
        path.chmod(0o2770 if path.is_dir() else 0o660)


def _grant(file: Path | int, found: os.stat_result, mode: int) -> None:
    """Set the permissions that the umask may have narrowed; only the owner may, or needs to."""
    if found.st_uid == os.geteuid() and found.st_mode & 0o777 != mode:
        os.chmod(file, found.st_mode & 0o7000 | mode)  # noqa: PTH101  # a handle has no path
