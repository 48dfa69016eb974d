"""Fetch a dataset anew from wherever it comes: a file, a query, or a join of other datasets."""

from mlkit.flows.data import ingest
from mlkit.flows.data.versioning import Added
from mlkit.flows.features import joining
from mlkit.progress import BytesRead, Progress
from mlkit.project import Project


def pull(project: Project, name: str, *, progress: BytesRead | None = None) -> Added:
    """Make the next version of ``name`` if what it is made of has changed.

    Raises like ``ingest.pull``, or ``joining.join`` for a dataset that ``mlkit.toml`` calls joined.
    """
    recipe = joining.recipe(project, name)
    if recipe is None:
        return ingest.pull(project, name, progress=progress)
    say = None if progress is None else _plain(progress)
    return joining.join(project, name, recipe, progress=say)


def _plain(progress: BytesRead) -> Progress:
    """Return what reports a step whose end nobody knows."""
    return lambda what: progress(what, 0, 0)
