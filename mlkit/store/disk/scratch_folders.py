"""Folders for whole copies of a project that are gone afterwards, whatever kills their maker.

Each is locked by who works in it, so that the next one at the same work clears away the dead ones.
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
_UNLOCKED_S: Final = 60  # in which a new room is surely locked


@contextmanager
def create(parent: Path, prefix: str) -> Iterator[Path]:
    """Yield a new folder in ``parent`` for its owner alone; dead ones of its kind are removed."""
    sweep(parent, prefix)
    with _made(parent, parent / f"{prefix}{secrets.token_hex(8)}") as folder:
        yield folder


@contextmanager
def beside(target: Path, *, busy: str) -> Iterator[Path]:
    """Yield where to build what ``put`` will set in place of ``target``; raises BusyError."""
    settle(target)
    if any(map(_is_flocked, _others(target))):
        raise BusyError(busy)
    try:
        with _made(target.parent, _beside(target)) as folder:
            yield folder / _CONTENT
    except FileExistsError as error:
        raise BusyError(busy) from error


def put(target: Path, kept: Path | None) -> None:
    """Set what was built beside ``target`` in its place; what is there is kept as ``kept``.

    A kill at any moment leaves what ``settle`` finishes or undoes.
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
    """Finish a ``put`` that was killed between its steps, or clear away one that had not begun.

    Nothing if somebody is at it, and nothing for a folder that another user made.
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
    """Remove the rooms whose makers are dead, and return how many there were."""
    gone = 0
    for folder in [*parent.glob(f"{prefix}*"), *parent.glob(f".{prefix}*.new")]:
        with _taken(folder) as ours:
            if ours and not (folder.suffix == ".new" and _is_young(folder)):
                shutil.rmtree(folder)
                gone += 1
    return gone


@contextmanager
def _made(parent: Path, final: Path) -> Iterator[Path]:
    """Make a folder that has its name only once it is locked, so that nobody takes it for dead."""
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
    """Yield whether the folder is ours and nobody works in it; then it is locked."""
    try:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(folder, flags)
    except OSError:  # none, a link, or another user's
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
    """Return where this user builds: what another one's killed work left is not ours to clear."""
    return target.with_name(f".{target.name}.restoring-{os.geteuid()}")


def _others(target: Path) -> list[Path]:
    found = target.parent.glob(f".{escape(target.name)}.restoring-*")
    return [folder for folder in found if folder != _beside(target)]


def _is_flocked(folder: Path) -> bool:
    """Tell whether a process is at work in a folder that we may not open, as far as Linux tells."""
    if not (_LOCKS.exists() and folder.exists()):
        return False
    inode = str(folder.lstat().st_ino)
    lines = map(str.split, _LOCKS.read_text().splitlines())
    return any("FLOCK" in words and words[-3].rpartition(":")[2] == inode for words in lines)


def _is_young(folder: Path) -> bool:
    return time.time() - folder.lstat().st_mtime < _UNLOCKED_S
