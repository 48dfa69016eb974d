"""Request ids belong to whoever chose them, and corrected actuals stay on record."""

import sqlalchemy as sa
from alembic import op

from mlkit.store.base import UtcDateTime

revision = "0014_requests_and_corrections"
down_revision = "0013_file_digest_ctime"


def upgrade() -> None:
    op.create_table(
        "request",
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(length=128), nullable=False),
        sa.Column("owner", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("first_id", sa.String(length=36), nullable=False),
        sa.Column("last_id", sa.String(length=36), nullable=False),
        sa.Column("served_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_request_model_id_model")),
        sa.PrimaryKeyConstraint("model_id", "request_id", "owner", name=op.f("pk_request")),
    )
    op.create_index(op.f("ix_request_served_at"), "request", ["served_at"])
    op.create_table(
        "actual_correction",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            autoincrement=True,
        ),
        sa.Column("prediction_id", sa.String(length=36), nullable=False),
        sa.Column("old_value", sa.Text(), nullable=False),
        sa.Column("new_value", sa.Text(), nullable=False),
        sa.Column("old_observed_at", UtcDateTime(), nullable=True),
        sa.Column("new_observed_at", UtcDateTime(), nullable=False),
        sa.Column("corrected_at", UtcDateTime(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_actual_correction")),
    )
    op.create_index(
        op.f("ix_actual_correction_prediction_id"), "actual_correction", ["prediction_id"]
    )
