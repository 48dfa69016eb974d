"""Train again where an alert asks for it, and promote only what is better."""

import mlkit


def run(project: mlkit.Project) -> str:
    """Retrain every champion that is due by the setting `retrain.on`."""
    return mlkit.for_each_champion(project, lambda model: mlkit.retrain_if_due(project, model))
