"""A dataset version says how its rows were made."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    with op.batch_alter_table("dataset_version") as batch_op:
        batch_op.add_column(
            sa.Column("transformation", sa.JSON(), nullable=False, server_default="{}")
        )
