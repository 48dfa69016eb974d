"""Erasure from the quarantine and from the stored values of feature views."""

from mlkit.flows.data import ingest, quarantine
from mlkit.flows.data.subjects import Subjects
from mlkit.project import Project
from mlkit.store import features
from mlkit.store.datasets import Dataset
from mlkit.store.features import StoredView


def erase(project: Project, dataset: Dataset, erased: Subjects) -> None:
    """Delete the quarantine of ``dataset``, and the values of its views for the subjects.

    Value sets that a killed command left are deleted as a whole: no view names them.
    """
    quarantine.discard(project, dataset.name)
    with project.write() as s:
        features.drop_unused(s)
        for view in features.list_views(s):
            if view.set_id is None or not _is_about(view, dataset):
                continue
            theirs = [each for each in features.entities(s, view.set_id) if erased.has(each)]
            features.remove(s, view.set_id, theirs)
            if theirs:
                view.rows -= len(theirs)
                view.changes = StoredView.changes + 1


def _is_about(view: StoredView, dataset: Dataset) -> bool:
    of_it = view.dataset is not None and ingest.parse_reference(view.dataset)[0] == dataset.name
    return of_it and view.entity == dataset.entity_column
