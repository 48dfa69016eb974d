"""The witness: a record outside of the database of its last audit event and its last commit.

It is written after the commit, so it may lag behind but never be ahead. If it names an event or a
commit that the database does not have, the database was rolled back, replaced or damaged.
"""

import fcntl
import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from mlkit.errors import DamagedError
from mlkit.store.disk import modes, plain_files
from mlkit.store.disk.blobs import write_durably

FILE: Final = "witness"
COMMITS: Final = "commits"
_DIGITS: Final = 20
_MAC: Final = 64


class Witness(msgspec.Struct, frozen=True):
    """The last committed audit event, and the first event with a keyed hash."""

    seq: int
    hash: str
    sealed_from: int


NOTHING: Final = Witness(0, "0" * 64, 1)  # of an audit trail without events


class _Signed(msgspec.Struct, frozen=True):
    witness: Witness
    mac: str


def read(folder: Path, key: bytes) -> Witness | None:
    """Return the witness in ``folder``, None without one; raises DamagedError for a forged one."""
    file = folder / FILE
    try:
        signed = msgspec.json.decode(plain_files.read(file), type=_Signed)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, RecursionError) as error:
        raise DamagedError(f"{file} cannot be read: {error}") from error
    if not hmac.compare_digest(signed.mac, _mac(key, signed.witness)):
        raise DamagedError(f"{file} was not written with this project's key")
    return signed.witness


def write(folder: Path, key: bytes, witness: Witness) -> None:
    """Replace the witness."""
    with locked(folder):
        _write(folder, key, witness)


def advance(folder: Path, key: bytes, seq: int, digest: str) -> None:
    """Advance the witness to event ``seq``, unless it has a later one or does not exist."""
    with locked(folder):
        known = read(folder, key)
        if known is not None and known.seq < seq:
            _write(folder, key, Witness(seq, digest, known.sealed_from))


def commits(folder: Path, key: bytes) -> int | None:
    """Return the number of the last recorded commit, None if it is missing or forged."""
    file = folder / COMMITS
    with suppress(OSError):
        found = _number(plain_files.read(file), key)
        if found is not None:
            return found
        with locked(folder) as handle:  # the first read may have overlapped with a write
            return _number(os.pread(handle, _DIGITS + _MAC, 0), key)
    return None


def begin_commits(folder: Path, key: bytes, number: int) -> None:
    """Replace the number of the last commit by ``number``."""
    with locked(folder) as handle:
        os.pwrite(handle, _numbered(number, key), 0)
        os.fsync(handle)


def sign_commits(folder: Path, key: bytes) -> None:
    """Add the keyed hash to a number that an earlier release has written without one."""
    with locked(folder) as handle:
        plain = os.pread(handle, _DIGITS + _MAC, 0)
        if len(plain) == _DIGITS + 1 and plain[:_DIGITS].isdigit():
            os.pwrite(handle, _numbered(int(plain), key), 0)


def note_commit(folder: Path, key: bytes, number: int) -> None:
    """Record commit ``number``; if it cannot be written, the witness lags behind.

    A missing or forged number is not replaced: the audit check reports it until a person seals the
    database.
    """
    with suppress(OSError), locked(folder) as handle:  # the commit itself is made already
        known = _number(os.pread(handle, _DIGITS + _MAC, 0), key)
        if known is not None and number > known:
            os.pwrite(handle, _numbered(number, key), 0)


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Yield the open file of the commits under an exclusive lock, held for microseconds."""
    handle = modes.open_file(folder / COMMITS, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def _write(folder: Path, key: bytes, witness: Witness) -> None:
    signed = _Signed(witness, _mac(key, witness))
    write_durably(folder / FILE, msgspec.json.encode(signed))


def _number(content: bytes, key: bytes) -> int | None:
    digits = content[:_DIGITS]
    if not digits.isdigit() or not hmac.compare_digest(_numbered(int(digits), key), content):
        return None
    return int(digits)


def _numbered(number: int, key: bytes) -> bytes:
    digits = b"%0*d" % (_DIGITS, number)
    return digits + hmac.digest(key, b"mlkit commits" + digits, "sha256").hex().encode()


def _mac(key: bytes, witness: Witness) -> str:
    content = b"mlkit witness" + msgspec.json.encode(witness)
    return hmac.digest(key, content, "sha256").hex()
