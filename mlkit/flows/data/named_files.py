"""Which files the rows of the database name: what a backup holds, and what nothing may delete."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from mlkit.project import Project
from mlkit.store import datasets
from mlkit.store.baselines import Baseline
from mlkit.store.registry import ModelVersion
from mlkit.store.segments import Segment


def of(s: Session, project: Project) -> dict[str, str]:
    """Return every file that the rows of a database name, as path in the project: sha256."""
    named = {}
    for rows in datasets.blobs(s):
        named[project.data.path(rows).relative_to(project.root).as_posix()] = rows
    for column, store in (
        (ModelVersion.artifact_sha256, project.artifacts),
        (ModelVersion.reference_sha256, project.references),
        (Baseline.sha256, project.references),
        (ModelVersion.estimation_sha256, project.references),
    ):
        for digest in s.scalars(select(column).distinct()):
            if digest is None:  # a version of old has no estimation
                continue
            named[store.path(digest).relative_to(project.root).as_posix()] = digest
    for segment in s.scalars(select(Segment)):
        named[segment.path] = segment.sha256
    return named
