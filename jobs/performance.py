"""Compare what each champion answered with what really happened."""

import mlkit


def run(project: mlkit.Project) -> str:
    """Check every champion; a loss above its holdout's raises an alert, its end resolves it."""
    return mlkit.for_each_champion(
        project, lambda model: mlkit.check_performance(project, model).summary
    )
