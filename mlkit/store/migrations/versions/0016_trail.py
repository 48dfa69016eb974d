"""Events of the audit trail name the rows they are about, and commits are counted."""

import sqlalchemy as sa
from alembic import op

revision = "0016_trail"
down_revision = "0015_model_code"


def upgrade() -> None:
    op.add_column("audit_event", sa.Column("covers", sa.JSON(none_as_null=True), nullable=True))
    table = op.create_table(
        "commit_count",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("lost", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commit_count")),
    )
    op.bulk_insert(table, [{"id": 1, "number": 0, "lost": 0}])
