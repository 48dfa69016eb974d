"""A version says which files of the user's own code it was trained with."""

import sqlalchemy as sa
from alembic import op

revision = "0015_model_code"
down_revision = "0014_requests_and_corrections"


def upgrade() -> None:
    with op.batch_alter_table("model_version") as batch_op:
        batch_op.add_column(sa.Column("code", sa.JSON(), nullable=True))
