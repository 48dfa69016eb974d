"""Keep the newest backups in `backups/`."""

import mlkit


def run(project: mlkit.Project) -> str:
    """Write one and delete the oldest beyond the setting `backup.keep`."""
    return mlkit.rotate_backups(project)
