"""A cache of digests of files outside of the project: unchanged files are not hashed again."""

import os
from typing import NamedTuple

from sqlalchemy import BigInteger, String, Text
from sqlalchemy.orm import Mapped, Session, mapped_column

from mlkit.store.base import Base


class Stamp(NamedTuple):
    """File attributes that change when a file is written; times in nanoseconds.

    ``mtime_ns`` can be reset by a writer; ``ctime_ns`` is set by the kernel only.
    """

    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: str

    @classmethod
    def of(cls, found: os.stat_result) -> "Stamp":
        """Return the stamp of a ``stat`` result."""
        inode = f"{found.st_dev}:{found.st_ino}"
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns, inode)

    @property
    def changed_ns(self) -> int:
        """The time of the last change of any kind."""
        return max(self.mtime_ns, self.ctime_ns)


class FileDigest(Base):
    """The sha256 and the stamp of a file when it was last read."""

    __tablename__ = "file_digest"

    path: Mapped[str] = mapped_column(Text, primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    ctime_ns: Mapped[int] = mapped_column(BigInteger)
    inode: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64))


def find(s: Session, path: str, stamp: Stamp) -> str | None:
    """Return the digest of ``path`` if its stamp is unchanged."""
    known = s.get(FileDigest, path)
    if known is None:
        return None
    if Stamp(known.size_bytes, known.mtime_ns, known.ctime_ns, known.inode) != stamp:
        return None
    return known.sha256


def remember(s: Session, path: str, stamp: Stamp, sha256: str) -> None:
    """Store the digest of ``path``."""
    s.merge(FileDigest(path=path, sha256=sha256, **stamp._asdict()))
