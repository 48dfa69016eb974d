"""The files that the database refers to, by the digest of their content or their path."""

from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from mlkit.store import datasets, segments
from mlkit.store.baselines import Baseline
from mlkit.store.registry import ModelVersion


class Named(NamedTuple):
    """Digests of rows, artifacts and references, and of segments by their path."""

    rows: set[str]
    artifacts: set[str]
    references: set[str]
    segments: dict[str, str]


def named(s: Session) -> Named:
    """Return all of them."""
    artifacts = set(s.scalars(select(ModelVersion.artifact_sha256)))
    columns = (ModelVersion.reference_sha256, Baseline.sha256, ModelVersion.estimation_sha256)
    found = (digest for column in columns for digest in s.scalars(select(column)))
    return Named(
        datasets.blobs(s),
        artifacts,
        {digest for digest in found if digest is not None},  # older versions have no estimation
        {segment.path: segment.sha256 for segment in segments.every(s)},
    )
