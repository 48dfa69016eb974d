"""Whether ``features.py`` still has the code of the on-demand features of champions.

The server goes on with what it has loaded; after a restart it would compute with other code than
the model learned from.
"""

from pathlib import Path

from mlkit.flows.features import declarations, feature_plan
from mlkit.project import Project
from mlkit.store import deployments


def troubles(project: Project) -> dict[str, str]:
    """Return what is wrong, by the name of the transformation; the file is read and not run."""
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
    """Return name, model and recorded digest of the transformations of champions."""
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
