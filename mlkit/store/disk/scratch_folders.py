"""Scratch folders for copies of a project, which are removed even if their process is killed.

Each is locked by its process, so that the next one can tell and remove abandoned ones.
"""

import fcntl
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from mlkit.errors import BusyError
from mlkit.store.disk import failpoints
from mlkit.store.disk.blobs import sync

_LOCKS: Final = Path("/proc/locks")
_READY: Final = "ready"
_CONTENT: Final = "project"
_UNLOCKED_S: Final = 60  # an unlocked folder younger than this may be about to be locked


@contextmanager
def create(parent: Path, prefix: str) -> Iterator[Path]:
    """Yield a new private folder in ``parent``; remove abandoned ones with the same prefix."""
    sweep(parent, prefix)
    with _made(parent, parent / f"{prefix}{secrets.token_hex(8)}") as folder:
        yield folder


@contextmanager
def beside(target: Path, *, busy: str) -> Iterator[Path]:
    """Yield the path at which to build what ``put`` then moves to ``target``; raises BusyError."""
    settle(target)
    if any(map(_is_flocked, _others(target))):
        raise BusyError(busy)
    try:
        with _made(target.parent, _beside(target)) as folder:
            yield folder / _CONTENT
    except FileExistsError as error:
        raise BusyError(busy) from error


def put(target: Path, kept: Path | None) -> None:
    """Move what was built beside ``target`` to its place; rename the old one to ``kept``.

    After a kill at any moment ``settle`` completes or undoes the move.
    """
    folder = _beside(target)
    (folder / _READY).touch(mode=0o600)
    sync(folder)
    failpoints.reach("restore.ready")
    if kept is not None:
        target.rename(kept)
    failpoints.reach("restore.moved")
    try:
        (folder / _CONTENT).rename(target)
    except OSError:
        if kept is not None:
            kept.rename(target)
        raise
    failpoints.reach("restore.placed")
    sync(target.parent)


def settle(target: Path) -> None:
    """Complete a ``put`` that was killed between its steps, or remove one that had not begun.

    Does nothing if a process is still working on it, or if another user made the folder.
    """
    folder = _beside(target)
    with _taken(folder) as ours:
        if not ours:
            return
        if not target.exists() and (folder / _READY).is_file() and (folder / _CONTENT).is_dir():
            (folder / _CONTENT).rename(target)
            sync(target.parent)
        shutil.rmtree(folder)


def sweep(parent: Path, prefix: str) -> int:
    """Remove the folders whose processes are dead, and return their number."""
    gone = 0
    for folder in [*parent.glob(f"{prefix}*"), *parent.glob(f".{prefix}*.new")]:
        with _taken(folder) as ours:
            if ours and not (folder.suffix == ".new" and _is_young(folder)):
                shutil.rmtree(folder)
                gone += 1
    return gone


@contextmanager
def _made(parent: Path, final: Path) -> Iterator[Path]:
    """Create a folder under a temporary name, lock it, rename it: it is never seen unlocked."""
    new = Path(mkdtemp(prefix=f".{final.name.lstrip('.')}", suffix=".new", dir=parent))
    handle = os.open(new, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            if final.exists():
                raise FileExistsError(final)
            new.rename(final)
        except OSError:
            new.rmdir()
            raise
        try:
            yield final
        finally:
            shutil.rmtree(final, ignore_errors=True)
    finally:
        os.close(handle)


@contextmanager
def _taken(folder: Path) -> Iterator[bool]:
    """Yield whether the folder belongs to this user and is abandoned; it is then locked."""
    try:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(folder, flags)
    except OSError:  # missing, a link, or another user's
        yield False
        return
    try:
        found = os.fstat(handle)
        private = found.st_uid == os.geteuid() and not stat.S_IMODE(found.st_mode) & 0o077
        yield private and _is_locked_now(handle)
    finally:
        os.close(handle)


def _is_locked_now(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _beside(target: Path) -> Path:
    """Return this user's scratch folder beside ``target``; those of others are left alone."""
    return target.with_name(f".{target.name}.restoring-{os.geteuid()}")


def _others(target: Path) -> list[Path]:
    found = target.parent.glob(f".{escape(target.name)}.restoring-*")
    return [folder for folder in found if folder != _beside(target)]


def _is_flocked(folder: Path) -> bool:
    """Tell by ``/proc/locks`` whether a process has locked a folder that we may not open."""
    if not (_LOCKS.exists() and folder.exists()):
        return False
    inode = str(folder.lstat().st_ino)
    lines = map(str.split, _LOCKS.read_text().splitlines())
    return any("FLOCK" in words and words[-3].rpartition(":")[2] == inode for words in lines)


def _is_young(folder: Path) -> bool:
    return time.time() - folder.lstat().st_mtime < _UNLOCKED_S
