"""Check that all members of a project's group have access to it, and nobody else."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from mlkit.flows.doctor.findings import Finding, fail
from mlkit.project import Project
from mlkit.store.disk import modes


def faults(project: Project, secret: Iterable[Path]) -> Iterator[Finding]:
    """Find files that users outside the group can read, and those that members cannot use."""
    root = project.root
    gid = root.stat().st_gid
    for path in secret:
        if path.stat().st_mode & stat.S_IRWXO:
            yield fail(f"other users may use {path}", f"chmod o= {path}")
    if os.geteuid() and gid not in (os.getegid(), *os.getgroups()):
        yield fail(f"you are not in group {gid}, that of {root}", "ask for it, then log in again")
    closed = [path for path in _tree(root) if not _open_to(gid, path)]
    if closed:
        yield fail(
            f"{len(closed)} files and folders are closed to group {gid}, first {closed[0]}",
            f"as their owner or root: chgrp -R {gid} {root}; chmod -R g+rwX {root}; "
            f"find {root} -type d -exec chmod g+s {{}} +",
        )


def _tree(root: Path) -> Iterator[Path]:
    """Yield the folder and everything in it, without links, ``__pycache__`` and ``.git``."""
    yield root
    for folder, below, files in os.walk(root):
        below[:] = [name for name in below if name not in ("__pycache__", ".git")]
        for name in [*below, *files]:
            path = Path(folder, name)
            if not path.is_symlink() and path.exists():  # it may have been deleted meanwhile
                yield path


def _open_to(gid: int, path: Path) -> bool:
    """Tell whether the group has the owner's access to ``path``."""
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            return found.st_gid == gid and modes.is_shared(path)
    except FileNotFoundError:
        return True
    both = stat.S_IRGRP | stat.S_IWGRP
    return found.st_gid == gid and found.st_mode & both == both
