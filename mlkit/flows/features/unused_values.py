"""Delete unused feature values: those of removed views and of incomplete sets."""

from typing import Final

from mlkit.flows.features.declarations import Declared
from mlkit.project import Project
from mlkit.store import datasets, features

BATCH: Final = 20_000  # rows per transaction


def forget(project: Project, declared: Declared) -> None:
    """Delete view versions that are neither declared any more nor used by a dataset version."""
    declares = {(view.name, view.version) for view in declared.views.values()}
    with project.read() as s:
        known = {(stored.name, stored.version) for stored in features.list_views(s)}
    if known <= declares:
        return
    with project.write() as s:
        joins = [version.join for version in datasets.outline(s)]
        used = {(view.name, view.version) for join in joins if join for view in join.views}
        for stored in features.list_views(s):
            if (stored.name, stored.version) not in declares | used:
                stored.set_id = None


def tidy(project: Project) -> None:
    """Delete the sets that no view version refers to, in batches, and views without any."""
    with project.read() as s:
        sets = features.leftovers(s)
        unused = any(stored.set_id is None for stored in features.list_views(s))
    for set_id in sets:
        gone = False
        while not gone:
            with project.write() as s:
                gone = features.drop_some(s, set_id, BATCH)
    if sets or unused:
        with project.write() as s:
            features.forget_empty(s)
