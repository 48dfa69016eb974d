"""Let go of feature values that nobody reads: of views that are gone, of sets half written."""

from typing import Final

from mlkit.flows.features.declarations import Declared
from mlkit.project import Project
from mlkit.store import datasets, features

BATCH: Final = 20_000  # rows that one transaction writes or deletes


def forget(project: Project, declared: Declared) -> None:
    """Let go of versions that are not declared any more and that no dataset version was made of."""
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
    """Delete the sets that are nobody's values, little by little, and views that have none."""
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
