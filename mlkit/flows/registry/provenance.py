"""Provenance of a model: the git commit of the user's code, and the library versions."""

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
    """Return name and version of all installed packages; the first one on the path wins.

    An estimator may use any of them.
    """
    return dict(_packages(_path()))


def libraries_of(modules: Iterable[str]) -> list[str]:
    """Return the names of the libraries that these top-level modules come from."""
    known = _by_module(_path())
    return sorted({library for module in modules for library in known.get(module, ())})


def _path() -> tuple[tuple[str, int], ...]:
    """Return the library folders with their mtimes: the key of the caches below."""
    places = [Path(place) for place in sys.path]
    return tuple((str(place), place.stat().st_mtime_ns) for place in places if place.exists())


@functools.lru_cache(maxsize=1)
def _packages(_: tuple[tuple[str, int], ...]) -> Mapping[str, str]:
    """Cache the versions: reading the metadata of a few hundred packages takes 0.2 s."""
    found: dict[str, str] = {}
    for installed in metadata.distributions():
        name = installed.metadata["Name"]  # None after a broken installation
        if name:
            found.setdefault(name, installed.version)
    return dict(sorted(found.items(), key=lambda pair: pair[0].lower()))


@functools.lru_cache(maxsize=1)
def _by_module(_: tuple[tuple[str, int], ...]) -> Mapping[str, list[str]]:
    """Cache the mapping: listing all files of all libraries takes a second."""
    return metadata.packages_distributions()


def differences(recorded: Mapping[str, str], version: str) -> list[str]:
    """Return the differences of installed and recorded libraries, and of the Python ``version``.

    The libraries that every prediction depends on come first.
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

    ``+changes`` is added if a tracked file of the folder, or any of ``files``, differs from that
    commit: changed, never added, ignored, or a link to another place.
    """
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".")
    clean = changes == "" and all(_is_committed(root, file) for file in files)
    return commit if clean else f"{commit}+changes"


def _is_committed(root: Path, file: str) -> bool:
    """Tell whether a file equals that of the commit; ``git status`` can miss a change."""
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
            errors="replace",  # file names may be any bytes
            check=True,
            timeout=_TIMEOUT_S,
        )
    except (subprocess.SubprocessError, OSError):
        return None  # no repository, or another user's: the commit is optional
    return done.stdout.strip()
