"""Compare what each champion was asked with what it was trained on."""

import mlkit


def run(project: mlkit.Project) -> str:
    """Check every champion; drift raises an alert, its end resolves it."""
    return mlkit.for_each_champion(project, lambda model: mlkit.check_drift(project, model).summary)
