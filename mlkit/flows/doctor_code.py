"""Check of the users' own code: whether champions have it, and what has changed on disk since."""

import ast
from collections.abc import Iterator

from mlkit.flows import origin
from mlkit.flows.findings import Finding, fail, ok, warn
from mlkit.project import Project
from mlkit.store import registry


def code(project: Project) -> Iterator[Finding]:
    """Find champions without their code, and those that another training would make otherwise."""
    with project.read() as s:
        champions = [deployment.version for deployment in registry.champions(s)]
    quiet = True
    for version in champions:
        retrain = f"mlkit retrain {version.model.name}"
        if origin.is_without_code(version):
            quiet = False
            yield warn(origin.without_code(version), retrain)
        changed = origin.changed_code(project.root, version)
        if changed:
            quiet = False
            yield warn(
                f"{version.label()} answers with the code it was trained with, and on disk there "
                f"is other: {', '.join(changed)}",
                f"{retrain}, or take the change back",
            )
    if quiet:
        yield ok("the code of champions is kept with them and is that on disk")


def timetable(project: Project) -> Iterator[Finding]:
    """Find files of ``jobs/`` that are no Python: no clock could start a job."""
    files = sorted((project.root / "jobs").glob("*.py"))
    broken = False
    for file in files:
        try:
            ast.parse(file.read_bytes(), str(file))
        except (SyntaxError, ValueError) as error:
            broken = True
            yield fail(f"jobs/{file.name} is no Python: {error}; no job runs", f"mend {file}")
    if not broken:
        yield ok("every file in jobs/ is Python" if files else "there is none")
