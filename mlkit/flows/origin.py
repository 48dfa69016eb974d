"""Say what has changed since a version was trained: the user's code, the libraries, Python."""

from pathlib import Path

from mlkit.flows import own_code, provenance
from mlkit.store.registry import ModelVersion

_SHOWN = 8


def is_without_code(version: ModelVersion) -> bool:
    """Tell whether the version is of a user's estimator and from before its code was kept."""
    return ":" in version.estimator and version.code is None


def without_code(version: ModelVersion) -> str:
    """Say what a version without its code answers with, and how to mend it."""
    return (
        f"{version.label()} was trained before code was kept with a version, so it answers with "
        f"the '{version.estimator}' that is on disk now; train it again to have them together"
    )


def changed_code(root: Path, version: ModelVersion) -> list[str]:
    """Return the files on disk that are not those the version was trained with."""
    return own_code.changes(root, version.code)


def explain(root: Path, version: ModelVersion) -> str:
    """Say what may be why a version does not give its recorded answers, and what to do."""
    libraries = provenance.differences(version.packages, version.python)
    shown = ", ".join(libraries[:_SHOWN])
    more = f" and {len(libraries) - _SHOWN} more" if len(libraries) > _SHOWN else ""
    return (
        f"it was trained with {shown}{more}: install these, or train it again"
        if libraries
        else "the installed libraries are those it was trained with"
    ) + _of_code(root, version)


def _of_code(root: Path, version: ModelVersion) -> str:
    if is_without_code(version):
        return f"; {without_code(version)}"
    changed = own_code.changes(root, version.code, kept=False)
    if changed:
        return f"; other than at its training, and not kept with it: {', '.join(changed)}"
    return ""
