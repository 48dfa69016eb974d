"""The online store of feature views."""

import sqlalchemy as sa
from alembic import op

from mlkit.store.base import UtcDateTime

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "feature_view",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("entity", sa.String(), nullable=False),
        sa.Column("key", sa.String(length=16), nullable=False),
        sa.Column("columns", sa.JSON(), nullable=False),
        sa.Column("types", sa.JSON(), nullable=False),
        sa.Column("ttl", sa.String(), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("dataset", sa.String(), nullable=True),
        sa.Column("source_sha256", sa.String(length=64), nullable=True),
        sa.Column("set_id", sa.Integer(), nullable=True),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("newest_event_at", UtcDateTime(), nullable=True),
        sa.Column("next_event_at", UtcDateTime(), nullable=True),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("materialized_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feature_view")),
        sa.UniqueConstraint("name", "version", name=op.f("uq_feature_view_name_version")),
    )
    op.create_table(
        "feature_set",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("view_id", sa.Integer(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["view_id"], ["feature_view.id"], name=op.f("fk_feature_set_view_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feature_set")),
    )
    op.create_index(op.f("ix_feature_set_view_id"), "feature_set", ["view_id"])
    op.create_table(
        "feature_value",
        sa.Column("set_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("event_us", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["set_id"], ["feature_set.id"], name=op.f("fk_feature_value_set_id")
        ),
        sa.PrimaryKeyConstraint("set_id", "entity", name=op.f("pk_feature_value")),
        sqlite_with_rowid=False,
    )
