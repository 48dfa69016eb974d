"""The audit trail covers sealed segments of the log: their rows get an event, not a column."""

revision = "0018_segments"
down_revision = "0017_covers"


def upgrade() -> None:
    pass  # the event needs the project's key: ``mlkit.project.upgrade``
