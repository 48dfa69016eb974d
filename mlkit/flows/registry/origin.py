"""The code, libraries and Python that a version was trained with, and their changes since."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlkit.flows.registry import own_code, provenance
from mlkit.steps.predictors.own_modules import OwnCode
from mlkit.store.registry import ModelVersion

_SHOWN = 8
_FEATURES = "features.py"


def fields(
    root: Path, estimator: str, code: OwnCode | None, *, not_kept: Sequence[str], featured: bool
) -> dict[str, Any]:
    """Return the fields of a new version for its code and libraries.

    ``not_kept`` are the modules that are not in ``code``; ``featured`` says whether its rows were
    joined with what ``features.py`` declares.
    """
    module, own, _ = estimator.partition(":")
    recorded = own_code.record(root, module, code, not_kept) if own else None
    files = [path for kind in ("files", "not_kept") for path in (recorded or {}).get(kind, ())]
    return {
        "code_commit": provenance.code_commit(root, [*files, *([_FEATURES] if featured else [])]),
        "code": recorded,
        "python": provenance.python(),
        "packages": provenance.packages(),
    }


def warnings(root: Path, champion: ModelVersion | None, estimator: str) -> list[str]:
    """Warn of files changed since the champion was trained with the same estimator."""
    if champion is None or champion.estimator != estimator:
        return []
    changed = changed_code(root, champion)
    if not changed:
        return []
    files = ", ".join(changed)
    return [f"code_changed: {files}: not as v{champion.number}, the champion, was trained with"]


def is_without_code(version: ModelVersion) -> bool:
    """Tell whether a version has a user's estimator and predates the storage of its code."""
    return ":" in version.estimator and version.code is None


def without_code(version: ModelVersion) -> str:
    """Explain which code a version without stored code runs, and the fix."""
    return (
        f"{version.label()} was trained before code was kept with a version, so it answers with "
        f"the '{version.estimator}' that is on disk now; train it again to have them together"
    )


def changed_code(root: Path, version: ModelVersion) -> list[str]:
    """Return the files on disk that have changed since the version was trained."""
    return own_code.changes(root, version.code)


def explain(root: Path, version: ModelVersion) -> str:
    """Explain why a version may not reproduce its recorded predictions, and what to do."""
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
