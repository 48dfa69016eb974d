"""A source may go back to rows that it had before: then they are a version once more."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    with op.batch_alter_table("dataset_version") as batch_op:
        batch_op.drop_constraint(op.f("uq_dataset_version_dataset_id_sha256"), type_="unique")
