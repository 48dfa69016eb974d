"""Keep the newest backups in `backups/`."""

from mlkit.project import Project


def run(project: Project) -> str:
    """Write one and delete the oldest beyond the setting `backup.keep`."""
    from mlkit.flows.operations import backup  # a job loads only what it needs

    return backup.rotate(project)
