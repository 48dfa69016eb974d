"""Run all checks of ``mlkit doctor``: each gives its level, what it found, and the fix."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from mlkit.errors import MlkitError
from mlkit.flows.doctor import clocks, code, files, machine, rows, servers
from mlkit.flows.doctor.findings import Finding, Level, fail
from mlkit.progress import Progress
from mlkit.project import Project, locate_project
from mlkit.store.dialects import database_errors

Check = Callable[[Project], Iterable[Finding]]

# by name; the checks of the second table read rows, so the database must be usable
CHECKS: dict[str, Check] = {
    "sqlite": machine.sqlite,
    "disk": machine.disk,
    "clocks": clocks.clocks,
    "servers": servers.servers,
    "permissions": files.permissions,
    "key": files.key,
    "journals": files.journals,
    "timetable": code.timetable,
    "rules": code.rules,
    "database": rows.database,
}
ROW_CHECKS: dict[str, Check] = {
    "clock": rows.clock,
    "audit trail": rows.audit_trail,
    "erasures": rows.erasures,
    "jobs": rows.jobs,
    "alerts": rows.alerts,
    "models": files.models,
    "libraries": files.libraries,
    "code": code.code,
    "data": files.data,
    "features": rows.features,
    "leftovers": files.unneeded,
    "copies": files.dead_copies,
    "backups": files.backups,
}


class Checked(msgspec.Struct, frozen=True):
    """One finding under the name of its check."""

    check: str
    level: Level
    found: str
    fix: str


class Examined(msgspec.Struct, frozen=True):
    """All findings; ``level`` is the worst of them."""

    project: Path
    level: Level
    checks: tuple[Checked, ...]


def examine(
    path: Path | None,
    *,
    progress: Progress | None = None,
    closer: Mapping[str, Check] | None = None,
) -> Examined:
    """Run every check on the project in ``path``; one that fails does not stop the others.

    The database is opened as it is: an old, damaged or missing one is a finding. Checks in
    ``closer`` replace those of the same name.
    """
    say = progress or (lambda _text: None)
    project = locate_project(path)
    try:
        checks = {**CHECKS, **(closer or {})}
        found = [line for name, check in checks.items() for line in _run(project, name, check, say)]
        if all(line.level != "fail" for line in found if line.check == "database"):
            found += [
                line
                for name, check in ROW_CHECKS.items()
                for line in _run(project, name, check, say)
            ]
    finally:
        project.close()
    levels = [line.level for line in found]
    worst: Level = "fail" if "fail" in levels else "warn" if "warn" in levels else "ok"
    return Examined(project.root, worst, tuple(found))


def _run(project: Project, name: str, check: Check, say: Progress) -> list[Checked]:
    say(name)
    findings: list[Finding] = []
    try:
        findings.extend(check(project))
    except (MlkitError, database_errors.UNTRANSLATED, OSError) as error:
        # an error of the project is a finding
        findings.append(fail(f"{error}"))
    except Exception as error:  # noqa: BLE001  # a bug of the check must not stop the others
        findings.append(fail(f"the check itself failed: {type(error).__name__}: {error}"))
    return [Checked(name, finding.level, finding.found, finding.fix) for finding in findings]
