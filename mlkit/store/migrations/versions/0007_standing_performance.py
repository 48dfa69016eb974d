"""Performance reports say whether they are of the standing check."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    with op.batch_alter_table("performance_report") as batch_op:
        batch_op.add_column(
            sa.Column("standing", sa.Boolean(), nullable=False, server_default=sa.true())
        )
        batch_op.create_index(
            batch_op.f("ix_performance_report_model_id_standing"),
            ["model_id", "standing"],
            unique=False,
        )
