"""A version knows its loss on each part of its holdout."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    with op.batch_alter_table("model_version") as batch_op:
        batch_op.add_column(sa.Column("slices", sa.JSON(none_as_null=True), nullable=True))
