"""Compare what each champion answered with what really happened."""

from mlkit.project import Project


def run(project: Project) -> str:
    """Check every champion; a loss above its holdout's raises an alert, its end resolves it."""
    from mlkit.flows.monitoring import monitor  # a job loads only what it needs
    from mlkit.flows.registry import champions

    return champions.each(project, lambda model: monitor.check_performance(project, model).summary)
