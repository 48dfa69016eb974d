"""Where a model comes from: the commit of the user's code, and the versions of the libraries."""

import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

_PACKAGES = ("mlkit", "scikit-learn", "numpy", "scipy", "joblib", "pyarrow")
_TIMEOUT_S = 5.0


def packages() -> dict[str, str]:
    """Return the installed version of each library that can change an answer."""
    return {name: metadata.version(name) for name in _PACKAGES}


def python() -> str:
    """Return the version of the interpreter."""
    return platform.python_version()


def code_commit(root: Path) -> str | None:
    """Return the git commit of the project folder, with ``+changes`` if it has any, or None."""
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".")
    return f"{commit}+changes" if changes else commit


def _git(root: Path, *words: str) -> str | None:
    program = shutil.which("git")
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603  # fixed words, no shell
            [program, "-C", str(root), *words],
            capture_output=True,
            text=True,
            check=True,
            timeout=_TIMEOUT_S,
        )
    except (subprocess.SubprocessError, OSError):
        return None  # not a repository, or one of another user: provenance is a help, not a duty
    return done.stdout.strip()
