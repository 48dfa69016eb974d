"""Versions get what their performance is estimated with, and estimates a table of their own."""

import sqlalchemy as sa
from alembic import op

from mlkit.store.base import UtcDateTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    with op.batch_alter_table("model_version") as batch_op:
        batch_op.add_column(sa.Column("estimation_sha256", sa.String(length=64), nullable=True))
    op.create_table(
        "performance_estimate",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("report_id", sa.Integer(), nullable=False),
        sa.Column("model_version_id", sa.Integer(), nullable=False),
        sa.Column("window_start", UtcDateTime(), nullable=False),
        sa.Column("window_end", UtcDateTime(), nullable=False),
        sa.Column("metric", sa.String(length=24), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.Column("trusted", sa.Boolean(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("realised", sa.Double(), nullable=True),
        sa.Column("realised_rows", sa.Integer(), nullable=True),
        sa.Column("realised_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["model_version_id"],
            ["model_version.id"],
            name=op.f("fk_performance_estimate_model_version_id"),
        ),
        sa.ForeignKeyConstraint(
            ["report_id"],
            ["performance_report.id"],
            name=op.f("fk_performance_estimate_report_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_performance_estimate")),
        sa.UniqueConstraint("report_id", name=op.f("uq_performance_estimate_report_id")),
    )
    with op.batch_alter_table("performance_estimate") as batch_op:
        batch_op.create_index(
            batch_op.f("ix_performance_estimate_model_version_id_window_end"),
            ["model_version_id", "window_end"],
            unique=False,
        )
