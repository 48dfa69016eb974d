"""Files that the database refers to: a backup includes them, and no clean-up may delete them."""

from mlkit.project import Project, Session
from mlkit.store import digests


def of(s: Session, project: Project) -> dict[str, str]:
    """Map the path in the project to the sha256 of every file that the database refers to."""
    named = digests.named(s)
    kinds = (
        (project.data, named.rows),
        (project.artifacts, named.artifacts),
        (project.references, named.references),
    )
    found = {
        store.path(digest).relative_to(project.root).as_posix(): digest
        for store, digests in kinds
        for digest in digests
    }
    return found | named.segments
