"""A file that was rewritten with its old time is told by the time that only the clock sets."""

import sqlalchemy as sa
from alembic import op

revision = "0013_file_digest_ctime"
down_revision = "0012"


def upgrade() -> None:
    op.drop_table("file_digest")  # what is forgotten is hashed once more
    op.create_table(
        "file_digest",
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("ctime_ns", sa.BigInteger(), nullable=False),
        sa.Column("inode", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("path", name=op.f("pk_file_digest")),
    )
