"""Where a model comes from: the commit of the user's code, and the versions of the libraries."""

import functools
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

ANSWERING = ("mlkit", "scikit-learn", "numpy", "scipy", "joblib", "pyarrow")
_TIMEOUT_S = 5.0


def packages() -> dict[str, str]:
    """Return name and version of everything that is installed; what comes first on the path wins.

    An estimator may use any of it.
    """
    return dict(_packages(_path()))


def libraries_of(modules: Iterable[str]) -> list[str]:
    """Return the names of the libraries that modules outermost in the hierarchy come from."""
    known = _by_module(_path())
    return sorted({library for module in modules for library in known.get(module, ())})


def _path() -> tuple[tuple[str, int], ...]:
    """Return where libraries are, and when one was last added there, replaced or removed."""
    places = [Path(place) for place in sys.path]
    return tuple((str(place), place.stat().st_mtime_ns) for place in places if place.exists())


@functools.lru_cache(maxsize=1)
def _packages(_: tuple[tuple[str, int], ...]) -> Mapping[str, str]:
    """Keep what takes a fifth of a second to read from a few hundred files."""
    found: dict[str, str] = {}
    for installed in metadata.distributions():
        name = installed.metadata["Name"]  # None in what a broken installation left behind
        if name:
            found.setdefault(name, installed.version)
    return dict(sorted(found.items(), key=lambda pair: pair[0].lower()))


@functools.lru_cache(maxsize=1)
def _by_module(_: tuple[tuple[str, int], ...]) -> Mapping[str, list[str]]:
    """Keep what takes a second: all files of all libraries are looked at."""
    return metadata.packages_distributions()


def differences(recorded: Mapping[str, str], version: str) -> list[str]:
    """Return what is installed otherwise than it was recorded, with the Python ``version``.

    The libraries that every answer comes from are first.
    """
    now = packages()
    lines = [f"Python {version} (now {python()})"] if version != python() else []
    changed = [name for name in recorded if now.get(name) != recorded[name]]
    changed.sort(key=lambda name: (name not in ANSWERING, name.lower()))
    return lines + [f"{name} {recorded[name]} (now {now.get(name, 'none')})" for name in changed]


def python() -> str:
    """Return the version of the interpreter."""
    return platform.python_version()


def code_commit(root: Path, files: Sequence[str] = ()) -> str | None:
    """Return the git commit of the project folder, or None without one.

    ``+changes`` is added if a tracked file of the folder, or any of ``files``, is not as it is in
    that commit: changed, never added, ignored, or a link to somewhere else.
    """
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".")
    clean = changes == "" and all(_is_committed(root, file) for file in files)
    return commit if clean else f"{commit}+changes"


def _is_committed(root: Path, file: str) -> bool:
    """Tell whether a file has the bytes of the commit; ``git status`` can overlook it."""
    committed = _git(root, "rev-parse", f"HEAD:./{file}")
    return committed is not None and committed == _git(root, "hash-object", "--", file)


def _git(root: Path, *words: str) -> str | None:
    program = shutil.which("git")
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603  # fixed words, no shell
            [program, "-C", str(root), *words],
            capture_output=True,
            text=True,
            errors="replace",  # of the names of files, which may be any bytes
            check=True,
            timeout=_TIMEOUT_S,
        )
    except (subprocess.SubprocessError, OSError):
        return None  # not a repository, or one of another user: provenance is a help, not a duty
    return done.stdout.strip()
