"""Counters that outlive their process: one file of fixed size per worker, readable by all others.

A slot belongs to the process that holds its lock; after that one's death the next process
continues it. Knows nothing of the meaning of the numbers.
"""

import fcntl
import itertools
import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from mlkit.store.disk import modes, plain_files, processes

CAPACITY: Final = 2048  # series
CELLS: Final = 16  # numbers of one series
_MAGIC: Final = b"mlkit-m1"
_OWNER_AT, _OWNER_BYTES = 24, 232
_KEYS_AT, _KEY_BYTES = 256, 192
_CELLS_AT: Final = _KEYS_AT + CAPACITY * _KEY_BYTES
SIZE: Final = _CELLS_AT + CAPACITY * CELLS * 8

# Native order and size on purpose: aligned words are stored atomically, so a reader sees the old
# number or the new one, never a mix.
_WORD: Final = struct.Struct("Q")
_ROW: Final = struct.Struct(f"{CELLS}d")
_COUNT_AT, _PID_AT = 8, 16

Key = tuple[str, ...]


class Snapshot(NamedTuple):
    """The content of a slot at one moment; ``pid`` is None once its owner is dead."""

    name: str
    pid: int | None
    series: dict[Key, tuple[float, ...]]


class Slot:
    """The slot of this process."""

    def __init__(self, folder: Path) -> None:
        """Take the first free slot in ``folder``; on a full disk, one in private memory."""
        self._handle = -1
        self.path: Path | None = None
        self.trouble = ""
        try:
            self._handle, self.path = _claim(folder)
            self._memory = _map(self._handle)
        except OSError as error:  # a full disk must not keep the server from answering
            self.trouble = f"other workers do not see what this one counts: {error.strerror}"
            self._release()
            self._memory = mmap.mmap(-1, SIZE)
        self._count = min(_word(self._memory, _COUNT_AT), CAPACITY)
        self._places = {key: place for place, key in _keys(self._memory)}
        self._sign()
        self.cells = memoryview(self._memory)[_CELLS_AT:].cast("d")

    def place(self, key: Key) -> int | None:
        """Return the offset in ``cells`` of the numbers of ``key``, None if there is no room.

        Not thread-safe.
        """
        place = self._places.get(key)
        if place is None and (raw := msgspec.json.encode(key)) and self._fits(raw):
            place = self._count
            at = _KEYS_AT + place * _KEY_BYTES
            self._memory[at : at + _KEY_BYTES] = raw.ljust(_KEY_BYTES)
            self._count += 1
            _WORD.pack_into(self._memory, _COUNT_AT, self._count)  # publishes the series
            self._places[key] = place
        return None if place is None else place * CELLS

    def snapshot(self) -> Snapshot:
        """Return the present content."""
        name = self.path.name if self.path else "worker"
        return Snapshot(name, os.getpid(), _series(self._memory))

    def close(self) -> None:
        """Release the slot for another process."""
        self.cells.release()
        self._memory.close()
        self._release()

    def _fits(self, raw: bytes) -> bool:
        return self._count < CAPACITY and len(raw) <= _KEY_BYTES

    def _sign(self) -> None:
        owner = processes.identity().encode()[:_OWNER_BYTES].ljust(_OWNER_BYTES)
        self._memory[_OWNER_AT : _OWNER_AT + _OWNER_BYTES] = owner
        _WORD.pack_into(self._memory, _PID_AT, os.getpid())
        self._memory[: len(_MAGIC)] = _MAGIC

    def _release(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
        self._handle, self.path = -1, None


def clear(folder: Path) -> None:
    """Delete all slots; for the main process, before it has workers."""
    for path in folder.glob("worker-*"):
        path.unlink()


def read(folder: Path) -> Iterator[Snapshot]:
    """Yield the content of every slot in ``folder``, those of dead processes included."""
    for path in sorted(folder.glob("worker-*")):
        with plain_files.opened(path) as file:
            if os.fstat(file.fileno()).st_size != SIZE:  # its owner is just creating it
                continue
            with mmap.mmap(file.fileno(), SIZE, access=mmap.ACCESS_READ) as memory:
                if memory[: len(_MAGIC)] == _MAGIC:
                    yield Snapshot(path.name, _living(memory), _series(memory))


def _claim(folder: Path) -> tuple[int, Path]:
    modes.make_folder(folder)
    for number in itertools.count():
        path = folder / f"worker-{number}"
        handle = modes.open_file(path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
        else:
            return handle, path
    raise AssertionError("there is always a next number")


def _map(handle: int) -> mmap.mmap:
    """Map a slot, preallocated: writing to an unallocated page of a full disk is a SIGBUS."""
    os.posix_fallocate(handle, 0, SIZE)
    return mmap.mmap(handle, SIZE)


def _word(memory: mmap.mmap, at: int) -> int:
    return int(_WORD.unpack_from(memory, at)[0])


def _keys(memory: mmap.mmap) -> Iterator[tuple[int, Key]]:
    for place in range(min(_word(memory, _COUNT_AT), CAPACITY)):
        at = _KEYS_AT + place * _KEY_BYTES
        yield place, msgspec.json.decode(memory[at : at + _KEY_BYTES], type=Key)


def _series(memory: mmap.mmap) -> dict[Key, tuple[float, ...]]:
    return {
        key: _ROW.unpack_from(memory, _CELLS_AT + place * _ROW.size) for place, key in _keys(memory)
    }


def _living(memory: mmap.mmap) -> int | None:
    """Return the owner's pid, None if it is dead (its pid may by now be another process's)."""
    pid = _word(memory, _PID_AT)
    owner = memory[_OWNER_AT : _OWNER_AT + _OWNER_BYTES].rstrip().decode()
    return pid if processes.identity(pid) == owner else None
