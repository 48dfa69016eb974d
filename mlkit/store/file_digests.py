"""Digests of files outside of the project, so that an unchanged file is not hashed again."""

import os
from typing import NamedTuple

from sqlalchemy import BigInteger, String, Text
from sqlalchemy.orm import Mapped, Session, mapped_column

from mlkit.store.base import Base


class Stamp(NamedTuple):
    """What changes when somebody writes to a file; times in nanoseconds.

    Whoever writes can put ``mtime_ns`` back to what it was, ``ctime_ns`` only the clock moves.
    """

    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: str

    @classmethod
    def of(cls, found: os.stat_result) -> "Stamp":
        """Return the stamp in what ``stat`` says."""
        inode = f"{found.st_dev}:{found.st_ino}"
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns, inode)

    @property
    def changed_ns(self) -> int:
        """When the file was last touched in any way."""
        return max(self.mtime_ns, self.ctime_ns)


class FileDigest(Base):
    """The sha256 that a file had when it was last read, and how it looked then."""

    __tablename__ = "file_digest"

    path: Mapped[str] = mapped_column(Text, primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    ctime_ns: Mapped[int] = mapped_column(BigInteger)
    inode: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64))


def find(s: Session, path: str, stamp: Stamp) -> str | None:
    """Return the digest of ``path`` if it still looks as it did."""
    known = s.get(FileDigest, path)
    if known is None:
        return None
    if Stamp(known.size_bytes, known.mtime_ns, known.ctime_ns, known.inode) != stamp:
        return None
    return known.sha256


def remember(s: Session, path: str, stamp: Stamp, sha256: str) -> None:
    """Note the digest of ``path``."""
    s.merge(FileDigest(path=path, sha256=sha256, **stamp._asdict()))
