"""Compare what each champion was asked with what it was trained on."""

from mlkit.project import Project


def run(project: Project) -> str:
    """Check every champion; drift raises an alert, its end resolves it."""
    from mlkit.flows.monitoring import monitor  # a job loads only what it needs
    from mlkit.flows.registry import champions

    return champions.each(project, lambda model: monitor.check_drift(project, model).summary)
