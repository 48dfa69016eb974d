"""Keep the database and the disk small."""

from mlkit.project import Project


def run(project: Project) -> str:
    """Seal old predictions and delete what is older than the settings `*.keep` say."""
    from mlkit.flows.log import logs  # a job loads only what it needs

    return logs.prune(project)
