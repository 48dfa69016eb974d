"""Check what users write: their code and what champions keep of it, their jobs, their rules."""

import ast
from collections.abc import Iterator

from mlkit.errors import MlkitError
from mlkit.flows.doctor.findings import Finding, fail, ok, warn
from mlkit.flows.registry import origin
from mlkit.project import Project
from mlkit.store import deployments


def code(project: Project) -> Iterator[Finding]:
    """Find champions without their code, and those that another training would make otherwise."""
    with project.read() as s:
        champions = [deployment.version for deployment in deployments.champions(s)]
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


def rules(project: Project) -> Iterator[Finding]:
    """Find rules that cannot be read: no rows would come in, or older rules would be asked."""
    from mlkit.steps.rules import checks  # pandas

    folder, wrong = project.schemas_dir, False
    files = sorted(folder.iterdir()) if folder.exists() else []
    for file in (file for file in files if file.suffix == ".yaml"):
        label = file.relative_to(project.root)
        try:
            if file.is_file():
                checks.from_yaml(file.read_text("utf-8"), str(label))
                continue
            said = f"{label} is no file that can be read; those of the newest version hold"
        except UnicodeDecodeError as error:
            said = f"{label} is not UTF-8: {error}"
        except (MlkitError, OSError) as error:
            said = str(error)
        wrong = True
        yield fail(
            said, f"mend {file}, or delete it: the rules of the newest version are used then"
        )
    if not wrong:
        yield ok("all rules can be read" if files else "there are none")
