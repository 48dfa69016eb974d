"""Do one thing for every champion; a model that fails keeps no other from its turn."""

import logging
from collections.abc import Callable

from mlkit.errors import MlkitError
from mlkit.project import Project
from mlkit.store import registry

log = logging.getLogger("mlkit")


def names(project: Project) -> list[str]:
    """Return the models that have a champion, by name."""
    with project.read() as s:
        return [deployment.version.model.name for deployment in registry.champions(s)]


def _in_words(error: Exception) -> str:
    """Return what went wrong; what only a programmer can mend leaves its traceback as well."""
    if isinstance(error, MlkitError):
        return str(error)
    log.error("a model failed", exc_info=error)
    return f"{type(error).__name__}: {error}"


def each(project: Project, act: Callable[[str], str]) -> str:
    """Call ``act`` with every model that has a champion and join what it says.

    Raises MlkitError at the end, with all that was said, if any call raised anything: a model's
    own code, or a number that nobody thought of, is the trouble of that model alone.
    """
    said, failed = [], False
    for model in names(project):
        try:
            said.append(f"{model}: {act(model)}")
        except Exception as error:  # noqa: BLE001  # raised again below, when all had their turn
            failed = True
            said.append(f"{model} failed: {_in_words(error)}")
    if failed:
        raise MlkitError("; ".join(said))
    return "; ".join(said) or "no model has a champion yet"
