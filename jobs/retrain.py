"""Train again where an alert asks for it, and promote only what is better."""

from mlkit.project import Project


def run(project: Project) -> str:
    """Retrain every champion that is due by the setting `retrain.on`."""
    from mlkit.flows.registry import champions
    from mlkit.flows.training import retrain  # a job loads only what it needs

    return champions.each(project, lambda model: retrain.retrain_if_due(project, model))
