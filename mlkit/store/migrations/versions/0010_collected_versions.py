"""A dataset version may have given up its file, or the rows of a subject."""

import sqlalchemy as sa
from alembic import op

from mlkit.store.base import UtcDateTime

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    with op.batch_alter_table("dataset_version") as batch_op:
        batch_op.add_column(sa.Column("collected_at", UtcDateTime(), nullable=True))
        batch_op.add_column(
            sa.Column("erased_rows", sa.Integer(), nullable=False, server_default="0")
        )
    op.create_table(
        "erasure",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("done_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["dataset.id"], name=op.f("fk_erasure_dataset_id_dataset")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasure")),
        sa.UniqueConstraint("dataset_id", "subject", name=op.f("uq_erasure_dataset_id_subject")),
    )
