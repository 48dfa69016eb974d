"""Job runs: a claim by a unique row, a heartbeat while it works, a record of how it ended."""

from datetime import datetime

from sqlalchemy import Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mlkit.store.base import Base, UtcDateTime


class JobRun(Base):
    """One run of one job for one due time; ``status`` is running, ok, failed, timeout or lost."""

    __tablename__ = "job_run"
    __table_args__ = (UniqueConstraint("job", "due"), Index(None, "status"))

    id: Mapped[int] = mapped_column(primary_key=True)
    job: Mapped[str] = mapped_column(String(64))
    due: Mapped[datetime] = mapped_column(UtcDateTime)
    status: Mapped[str] = mapped_column(String(16))
    summary: Mapped[str] = mapped_column(Text, default="")
    runner: Mapped[str]
    child: Mapped[str | None]
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    heartbeat_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
