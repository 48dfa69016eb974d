"""Where the files lie that the database names: a backup holds them, and nothing may delete them."""

from mlkit.project import Project, Session
from mlkit.store import digests


def of(s: Session, project: Project) -> dict[str, str]:
    """Return every file that the rows of a database name, as path in the project: sha256."""
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
