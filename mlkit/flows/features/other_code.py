"""Check that ``features.py`` still has the on-demand code that champions were trained with.

A running server keeps the code that it has loaded; after a restart it would compute with code that
differs from that of the training.
"""

from pathlib import Path

from mlkit.flows.features import declarations, feature_plan
from mlkit.project import Project
from mlkit.store import deployments


def troubles(project: Project) -> dict[str, str]:
    """Return the problems by transformation; the file is read, not run."""
    needs = _needs(project)
    if not needs:
        return {}
    file = project.root / declarations.FILE
    text = file.read_bytes() if file.is_file() else b""
    found: dict[str, list[str]] = {}
    for name, model, digest in needs:
        if not _is_same(project.root, text, name, digest):
            found.setdefault(name, []).append(model)
    return {
        name: f"on-demand transformation '{name}', needed by {', '.join(models)}, is not the code "
        f"that the training used: take back what has changed in {declarations.FILE} or in "
        "what it imports, or join and train anew"
        for name, models in found.items()
    }


def _needs(project: Project) -> list[tuple[str, str, str]]:
    """Return transformation name, model and recorded digest for all champions."""
    found = []
    with project.read() as s:
        for deployment in deployments.champions(s):
            plan = feature_plan.of(s, deployment.version.dataset_version)
            model = deployment.version.model.name
            found += [(use.name, model, use.digest) for use in (plan.on_demand if plan else ())]
    return found


def _is_same(root: Path, text: bytes, name: str, digest: str) -> bool:
    try:
        return declarations.is_code_of(root, text, name, digest)
    except SyntaxError:
        return False
