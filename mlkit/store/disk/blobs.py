"""Content-addressed files: named by the SHA-256 of their bytes, so nothing is overwritten."""

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
    """Files ``<root>/sha256/ab/<digest><suffix>``; a write is atomic."""

    def __init__(self, root: Path, suffix: str) -> None:
        self.root = root / "sha256"
        self.suffix = suffix

    def path(self, sha256: str) -> Path:
        """Return the path of the blob with this digest, whether or not it exists."""
        return self.root / sha256[:2] / f"{sha256}{self.suffix}"

    def put(self, content: bytes) -> str:
        """Store ``content`` durably and return its digest."""
        sha256 = hashlib.sha256(content).hexdigest()
        if not self._touch(sha256):
            part = self.scratch()
            part.write_bytes(content)
            self._move_in(part, sha256)
        return sha256

    def adopt(self, part: Path) -> str:
        """Move a finished ``scratch()`` file into the store and return its digest."""
        sha256 = file_digest(part)
        if self._touch(sha256):
            part.unlink()
        else:
            self._move_in(part, sha256)
        return sha256

    def scratch(self) -> Path:
        """Return a new path on the same file system to write a blob to."""
        modes.make_folder(self.root)
        return self.root / f".{os.getpid()}-{secrets.token_hex(8)}.part"

    def read(self, sha256: str) -> bytes:
        """Return the bytes, after checking their digest; raises DamagedError.

        The bytes that are checked are the ones returned, so a swap of the file is always noticed.
        """
        path = self.path(sha256)
        try:
            content = plain_files.read(path)
        except FileNotFoundError as error:
            raise _missing(path) from error
        _refuse_other(path, hashlib.sha256(content).hexdigest(), sha256)
        return content

    def checked(self, sha256: str) -> Path:
        """Return the path of a blob, after checking its digest; raises DamagedError.

        For files too large for memory. Whoever may write to the folder can swap the file after the
        check.
        """
        path = self.path(sha256)
        try:
            found = file_digest(path)
        except FileNotFoundError as error:
            raise _missing(path) from error
        _refuse_other(path, found, sha256)
        return path

    def remove(self, sha256: str, unused: Callable[[], bool]) -> int:
        """Delete a blob that is ``unused`` and return its size in bytes, 0 if it did not exist.

        It is moved aside first: a concurrent ``put`` of the same bytes then either writes them
        again, or has touched the file before, which changes its mtime, and the file is moved back.
        A blob in use is never moved, because a kill in between would lose it.
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

    def _touch(self, sha256: str) -> bool:
        """Update the mtime of a blob that is about to be referenced; tell whether it exists."""
        try:
            os.utime(self.path(sha256))
        except FileNotFoundError:
            return False
        return True

    def _move_in(self, part: Path, sha256: str) -> None:
        """Move a finished file to its final path, durably."""
        target = self.path(sha256)
        modes.make_folder(target.parent)
        modes.share_like_folder(part)
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
    """Return the SHA-256 of a file, read in chunks."""
    digest = hashlib.sha256()
    with plain_files.opened(path) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def sync(path: Path) -> None:
    """Flush a file or folder to the disk (fsync), so that it survives a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_durably(path: Path, content: bytes) -> None:
    """Replace the content of ``path`` atomically and durably; its mode is as in ``modes``."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    handle = modes.open_file(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    with open(handle, "wb") as stream:  # noqa: PTH123  # pathlib opens no handle
        stream.write(content)
    sync(part)
    part.replace(path)
    sync(path.parent)


def sign(key: bytes, *fields: str | int) -> str:
    """Return the HMAC-SHA256 of ``fields``, such as the name, number and digest of an artifact."""
    message = "\n".join(str(field) for field in fields).encode()
    return hmac.digest(key, message, "sha256").hex()


def verify(key: bytes, signature: str, *fields: str | int) -> bool:
    """Tell whether ``signature`` is the one of ``fields`` under ``key``, in constant time."""
    return hmac.compare_digest(sign(key, *fields).encode(), signature.encode())
