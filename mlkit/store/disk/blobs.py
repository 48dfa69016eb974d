"""Content-addressed files: the name is the sha256 of the bytes, so nothing is ever overwritten."""

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from mlkit.errors import DamagedError
from mlkit.store.disk import modes, plain_files

_CHUNK_BYTES = 1 << 20


class BlobStore:
    """A folder ``<root>/sha256/ab/<digest><suffix>``; a write is complete or leaves no trace."""

    def __init__(self, root: Path, suffix: str) -> None:
        self.root = root / "sha256"
        self.suffix = suffix

    def path(self, sha256: str) -> Path:
        """Return where the bytes with this digest live, whether or not they are there."""
        return self.root / sha256[:2] / f"{sha256}{self.suffix}"

    def put(self, content: bytes) -> str:
        """Store ``content`` durably and return its digest."""
        sha256 = hashlib.sha256(content).hexdigest()
        if not self._used(sha256):
            part = self.scratch()
            part.write_bytes(content)
            self._settle(part, sha256)
        return sha256

    def adopt(self, part: Path) -> str:
        """Move a finished ``scratch()`` file into the store and return its digest."""
        sha256 = file_digest(part)
        if self._used(sha256):
            part.unlink()
        else:
            self._settle(part, sha256)
        return sha256

    def scratch(self) -> Path:
        """Return a new path on the same file system to write a blob to."""
        modes.make_folder(self.root)
        return self.root / f".{os.getpid()}-{secrets.token_hex(8)}.part"

    def read(self, sha256: str) -> bytes:
        """Return the bytes, after checking them; raises DamagedError.

        They are read once and it is these bytes that are checked, so a swap in between is seen.
        """
        path = self.path(sha256)
        try:
            content = plain_files.read(path)
        except FileNotFoundError as error:
            raise _missing(path) from error
        _refuse_other(path, hashlib.sha256(content).hexdigest(), sha256)
        return content

    def checked(self, sha256: str) -> Path:
        """Return the file with these bytes, after checking them; raises DamagedError.

        For what is too large to be in memory: whoever may write there can swap it afterwards.
        """
        path = self.path(sha256)
        try:
            found = file_digest(path)
        except FileNotFoundError as error:
            raise _missing(path) from error
        _refuse_other(path, found, sha256)
        return path

    def remove(self, sha256: str, unused: Callable[[], bool]) -> int:
        """Delete a blob that is ``unused`` and return its bytes, 0 if it was not there.

        It is moved aside first, so that who stores the same bytes at that moment writes them anew,
        or had touched them before, which is seen here: then they stay. One in use is never moved:
        a kill would leave it aside.
        """
        if not self.path(sha256).is_file() or not unused():
            return 0
        path = self.path(sha256)
        aside = self.scratch()
        try:
            before = path.stat()
            path.replace(aside)
        except FileNotFoundError:
            return 0
        if aside.stat().st_mtime_ns != before.st_mtime_ns or not unused():
            aside.replace(path)
            return 0
        aside.unlink()
        return before.st_size

    def digests(self) -> Iterator[str]:
        """Yield the digest of every blob in the store, by name."""
        for path in sorted(self.root.glob(f"??/*{self.suffix}")):
            yield path.name.removesuffix(self.suffix)

    def leftovers(self) -> list[Path]:
        """Return the files that a killed writer left behind."""
        return sorted(self.root.glob(".*.part"))

    def _used(self, sha256: str) -> bool:
        """Touch a blob that somebody is about to name, and tell whether it is there."""
        try:
            os.utime(self.path(sha256))
        except FileNotFoundError:
            return False
        return True

    def _settle(self, part: Path, sha256: str) -> None:
        target = self.path(sha256)
        modes.make_folder(target.parent)
        modes.settle(part)
        sync(part)
        part.replace(target)
        sync(target.parent)


def _missing(path: Path) -> DamagedError:
    return DamagedError(f"{path} is missing; restore a backup (see: mlkit backup restore)")


def _refuse_other(path: Path, found: str, sha256: str) -> None:
    if found != sha256:
        raise DamagedError(
            f"{path} does not have the bytes that were recorded; "
            "restore a backup (see: mlkit backup restore)"
        )


def file_digest(path: Path) -> str:
    """Return the sha256 of a file without holding it in memory."""
    digest = hashlib.sha256()
    with plain_files.opened(path) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def sync(path: Path) -> None:
    """Flush a file or folder to the disk, so that a power cut cannot take it back."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_durably(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` in one step, for whom its folder is (see ``modes``)."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    handle = modes.open_file(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    with open(handle, "wb") as stream:  # noqa: PTH123  # pathlib opens no handle
        stream.write(content)
    sync(part)
    part.replace(path)
    sync(path.parent)


def sign(key: bytes, *fields: str | int) -> str:
    """Return the HMAC-SHA256 of ``fields``: origin of an artifact under one name and number."""
    message = "\n".join(str(field) for field in fields).encode()
    return hmac.digest(key, message, "sha256").hex()


def verify(key: bytes, signature: str, *fields: str | int) -> bool:
    """Tell whether ``signature`` was made by ``sign`` with the same key and fields."""
    return hmac.compare_digest(sign(key, *fields).encode(), signature.encode())
