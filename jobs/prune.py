"""Keep the database and the disk small."""

import mlkit


def run(project: mlkit.Project) -> str:
    """Seal old predictions and delete what is older than the settings `*.keep` say."""
    return mlkit.prune(project)
