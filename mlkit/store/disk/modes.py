"""Who may use a file: its owner alone or, in a folder that a group shares, that group as well.

A folder is shared if its group may write to it and it hands its group on (setgid); what is made in
it is shared too, whoever makes it and whatever their umask. Elsewhere all is for the owner alone.
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
    """Let the group of ``folder`` share it; what is in it already stays as it is."""
    folder.chmod(0o2770)


def make_folder(folder: Path, *, within: Path | None = None) -> None:
    """Make a folder and those above it, unless they are there: each is shared as the one above.

    Raises FileNotFoundError if ``within`` is not there: a project that was moved away under a
    process is not begun anew, empty, in its old place.
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
    """Open a file and return its handle; one that is made is shared as its folder is."""
    mode = 0o660 if is_shared(path.parent) else 0o600
    handle = os.open(path, flags | os.O_CLOEXEC, mode)
    _grant(handle, os.fstat(handle), mode)
    return handle


def settle(path: Path) -> None:
    """Share a file of ours that another library has made, as its folder is."""
    _grant(path, path.stat(), 0o660 if is_shared(path.parent) else 0o600)


def share_all(folder: Path, like: Path) -> None:
    """Share ``folder`` and all that is in it with the group that shares ``like``, if one does."""
    if not is_shared(like):
        return
    group = like.stat().st_gid
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, -1, group)
        path.chmod(0o2770 if path.is_dir() else 0o660)


def _grant(file: Path | int, found: os.stat_result, mode: int) -> None:
    """Set the permissions, which the umask may have narrowed; only the owner can, and need."""
    if found.st_uid == os.geteuid() and found.st_mode & 0o777 != mode:
        os.chmod(file, found.st_mode & 0o7000 | mode)  # noqa: PTH101  # a handle has no path
