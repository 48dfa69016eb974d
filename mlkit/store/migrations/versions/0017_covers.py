"""The audit trail covers datasets, erasures and reports: their rows get an event, not a column."""

revision = "0017_covers"
down_revision = "0016_trail"


def upgrade() -> None:
    pass  # the event needs the project's key: ``mlkit.project.upgrade``
