"""Run a function for every champion; the failure of one model does not stop the others."""

import functools
from collections.abc import Callable

from mlkit.errors import MlkitError
from mlkit.flows.data.turns import Turns
from mlkit.project import Project
from mlkit.store import deployments


def names(project: Project) -> list[str]:
    """Return the models that have a champion, by name."""
    with project.read() as s:
        return list(deployments.champion_ids(s))


def each(project: Project, act: Callable[[str], str]) -> str:
    """Call ``act`` with every model that has a champion and join the returned texts.

    Raises MlkitError at the end, with all texts, if any call raised anything: a fault in one
    model's code or data must not affect the others.
    """
    turns, said = Turns(), []
    for model in names(project):
        done = turns.take(model, functools.partial(act, model))
        said.append(f"{model} failed: {turns.why(model)}" if done is None else f"{model}: {done}")
    if turns.first is not None:
        raise MlkitError("; ".join(said)) from turns.first
    return "; ".join(said) or "no model has a champion yet"
