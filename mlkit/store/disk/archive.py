"""The backup file: a plain tar whose first member is a manifest with every other member's digest.

Knows bytes and names only; ``flows.operations.backup`` decides what belongs in a backup.
"""

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Annotated

import msgspec

from mlkit.errors import CheckFailedError, DamagedError, InvalidInputError
from mlkit.store.disk import modes
from mlkit.store.disk.blobs import file_digest, sync

MANIFEST = "manifest.json"
FORMAT = 1
_CHUNK_BYTES = 1 << 20
_MANIFEST_LIMIT_BYTES = 1 << 28

_UNREADABLE = (tarfile.TarError, ValueError, OverflowError)  # what tarfile raises for bad headers
_COMPANIONS = ("-wal", "-shm", "-journal")  # of a SQLite file

Content = bytes | Path
_Number = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]  # the range of a database integer


class Member(msgspec.Struct, frozen=True):
    """One file of a backup."""

    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The members of a backup, and the last prediction and audit event that it contains."""

    format: int
    mlkit: str
    created_at: Annotated[datetime, msgspec.Meta(tz=True)]
    schema: str
    last_prediction_seq: _Number
    audit_seq: _Number
    audit_hash: str
    audit_sealed_from: _Number | None = None
    members: tuple[Member, ...]


def describe(name: str, content: Content) -> Member:
    """Return the manifest's entry for one file."""
    if isinstance(content, bytes):
        return Member(name, len(content), hashlib.sha256(content).hexdigest())
    return Member(name, content.stat().st_size, file_digest(content))


def write(file: Path, manifest: Manifest, contents: Mapping[str, Content]) -> None:
    """Write a backup of ``contents`` to the new file ``file``, durably, readable by its owner only.

    Raises DamagedError if a file no longer has the digest of the manifest.
    """
    with (
        create_file(file) as raw,
        tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
        _add(tar, Member(MANIFEST, len(text), ""), io.BytesIO(text), manifest)
        for member in manifest.members:
            with _open(contents[member.name]) as stream:
                digest = _add(tar, member, stream, manifest)
            if digest != member.sha256:
                raise DamagedError(
                    f"{member.name} is not what was recorded, or changed during the backup; "
                    "no backup was made (see: mlkit doctor)"
                )
    sync(file)


def manifest(file: Path) -> Manifest:
    """Return the manifest of a backup without checking its bytes; raises as ``read`` does."""
    with _opened(file) as tar:
        return _manifest(tar, file)


def read(file: Path, target: Path | None = None, only: Collection[str] = ()) -> Manifest:
    """Check every byte of a backup and return its manifest; unpack it into ``target`` if given.

    ``only`` names the members to unpack, default all. Raises InvalidInputError for a file that is
    not a backup, CheckFailedError for a damaged one.
    """
    with _opened(file) as tar:
        found = _manifest(tar, file)
        _refuse_unsafe(found, file)
        try:
            _compare(tar, found, file, _targets(found, target, only))
        except _UNREADABLE as error:
            raise _damaged(file, str(error)) from error
        return found


@contextmanager
def _opened(file: Path) -> Iterator[tarfile.TarFile]:
    """Open a backup; a pipe or a device is refused, because reading it could block for ever."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise InvalidInputError(f"there is no file {file}") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise InvalidInputError(f"{file} is not a backup of mlkit: it is not a plain file")
    with open(handle, "rb") as raw:  # noqa: PTH123  # a descriptor, not a path
        try:
            with tarfile.open(fileobj=raw, mode="r:") as tar:
                yield tar
        except _UNREADABLE as error:
            raise InvalidInputError(f"{file} is not a backup of mlkit: {error}") from error


@contextmanager
def create_file(path: Path) -> Iterator[IO[bytes]]:
    """Create a file with the permissions of its folder; never overwrite a file or follow a link."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW
    with os.fdopen(modes.open_file(path, flags), "wb") as stream:
        yield stream


class _Digesting:
    """A stream that hashes what is read through it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        chunk = self._stream.read(size)
        self.sha256.update(chunk)
        return chunk


def _add(tar: tarfile.TarFile, member: Member, stream: IO[bytes], manifest: Manifest) -> str:
    info = tarfile.TarInfo(member.name)
    info.size = member.size
    info.mode = 0o600
    info.mtime = int(manifest.created_at.timestamp())
    digesting = _Digesting(stream)
    try:
        tar.addfile(info, digesting)
    except OSError as error:
        raise DamagedError(f"{member.name} changed during the backup: {error}") from error
    return digesting.sha256.hexdigest()


@contextmanager
def _open(content: Content) -> Iterator[IO[bytes]]:
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as stream:
        yield stream


def _manifest(tar: tarfile.TarFile, file: Path) -> Manifest:
    first = tar.next()
    stream = tar.extractfile(first) if first is not None and first.isreg() else None
    if first is None or stream is None or first.name != MANIFEST:
        raise InvalidInputError(f"{file} is not a backup of mlkit: it has no {MANIFEST} in front")
    try:
        manifest = msgspec.json.decode(stream.read(_MANIFEST_LIMIT_BYTES), type=Manifest)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _damaged(file, f"its {MANIFEST} cannot be read: {error}") from error
    if manifest.format > FORMAT:
        raise InvalidInputError(
            f"{file} was made by mlkit {manifest.mlkit} in a format that this program does not "
            "know; upgrade mlkit (pip install --upgrade mlkit)"
        )
    return manifest


def _refuse_unsafe(manifest: Manifest, file: Path) -> None:
    """Refuse names that would lead out of the target folder, before a byte is written."""
    names = {member.name for member in manifest.members}
    if len(names) != len(manifest.members):
        raise _damaged(file, "it names a member twice")
    for name in names:
        path = PurePosixPath(name)
        plain = name == str(path) and not path.is_absolute() and name.isprintable()
        if not plain or ".." in path.parts or "\\" in name:
            raise _damaged(file, f"the name {name!r} is not one that a backup has")
        if any(name.endswith(end) and name.removesuffix(end) in names for end in _COMPANIONS):
            raise _damaged(file, f"{name!r} would change another member when that is opened")
        if any(str(parent) in names for parent in path.parents):
            raise _damaged(file, f"{name!r} lies inside of a file")


def _targets(manifest: Manifest, target: Path | None, only: Collection[str]) -> dict[str, Path]:
    """Return the path of each member that is to be unpacked."""
    names = (member.name for member in manifest.members)
    return {name: target / name for name in names if target and (not only or name in only)}


def _compare(
    tar: tarfile.TarFile, manifest: Manifest, file: Path, targets: Mapping[str, Path]
) -> None:
    for member in manifest.members:
        info = tar.next()
        if info is None:
            raise _damaged(file, f"it ends before {member.name}")
        regular = info.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not info.issparse()
        stream = tar.extractfile(info) if regular else None
        if stream is None or info.name != member.name or info.size != member.size:
            raise _damaged(file, f"{info.name!r} stands where {member.name} should")
        if _copy(stream, targets.get(member.name)) != member.sha256:
            raise _damaged(file, f"{member.name} does not have the bytes of the manifest")
    if tar.next() is not None:
        raise _damaged(file, "it holds more than its manifest names")


def _copy(stream: IO[bytes], path: Path | None) -> str:
    digesting = _Digesting(stream)
    if path is None:
        while digesting.read(_CHUNK_BYTES):
            pass
        return digesting.sha256.hexdigest()
    modes.make_folder(path.parent)
    with create_file(path) as out:
        while chunk := digesting.read(_CHUNK_BYTES):
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    return digesting.sha256.hexdigest()


def _damaged(file: Path, what: str) -> CheckFailedError:
    return CheckFailedError(f"the backup {file} is damaged: {what}; use another one")
