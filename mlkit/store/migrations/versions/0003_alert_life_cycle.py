"""Alerts get a snooze and an escalation, messages a time, digests need no alert."""

import sqlalchemy as sa
from alembic import op

from mlkit.store.base import UtcDateTime

revision = "0003"
down_revision = "0002"

_GIVEN_UP = 20  # attempts, after which release 0002 sent a message no more
_WAITING = "delivered_at IS NULL AND dropped_at IS NULL"


def upgrade() -> None:
    with op.batch_alter_table("alert") as batch_op:
        batch_op.add_column(sa.Column("snoozed_until", UtcDateTime(), nullable=True))
        batch_op.add_column(sa.Column("snoozed_by", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("escalated_at", UtcDateTime(), nullable=True))
        batch_op.add_column(sa.Column("unattended_since", UtcDateTime(), nullable=True))
        batch_op.add_column(sa.Column("flaps", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("alert_delivery") as batch_op:
        batch_op.add_column(sa.Column("created_at", UtcDateTime(), nullable=True))
        batch_op.add_column(sa.Column("next_attempt_at", UtcDateTime(), nullable=True))
        batch_op.add_column(sa.Column("dropped_at", UtcDateTime(), nullable=True))
        batch_op.alter_column("alert_id", existing_type=sa.Integer(), nullable=True)
    alert = sa.table("alert", sa.column("id"), sa.column("last_seen_at"))
    message = sa.table(
        "alert_delivery",
        *map(sa.column, ("alert_id", "attempts", "delivered_at", "dropped_at")),
    )
    seen = sa.select(alert.c.last_seen_at).where(alert.c.id == message.c.alert_id)
    op.execute(  # what was given up long ago is no news
        message.update()
        .where(message.c.delivered_at.is_(None), message.c.attempts >= _GIVEN_UP)
        .values(dropped_at=seen.scalar_subquery())
    )
    for name, unique, where in (
        ("ix_alert_delivery_waiting", False, _WAITING),
        ("uq_alert_delivery_digest", True, f"event = 'digest' AND {_WAITING}"),
    ):
        op.create_index(
            name, "alert_delivery", ["sink"], unique=unique,
            sqlite_where=sa.text(where), postgresql_where=sa.text(where),
        )  # fmt: skip
