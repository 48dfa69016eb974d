"""Do one thing for every champion; a model that fails keeps no other from its turn."""

from collections.abc import Callable

from mlkit.errors import MlkitError
from mlkit.project import Project
from mlkit.store import registry


def names(project: Project) -> list[str]:
    """Return the models that have a champion, by name."""
    with project.read() as s:
        return [deployment.version.model.name for deployment in registry.champions(s)]


def each(project: Project, act: Callable[[str], str]) -> str:
    """Call ``act`` with every model that has a champion and join what it says.

    Raises MlkitError at the end, with all that was said, if any call did.
    """
    said, failed = [], False
    for model in names(project):
        try:
            said.append(f"{model}: {act(model)}")
        except MlkitError as error:
            failed = True
            said.append(f"{model} failed: {error}")
    if failed:
        raise MlkitError("; ".join(said))
    return "; ".join(said) or "no model has a champion yet"
