"""Find what breaks at night: every check says how it went, what it saw, and how to mend it."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from mlkit.errors import MlkitError
from mlkit.flows import (
    doctor_clocks,
    doctor_code,
    doctor_files,
    doctor_machine,
    doctor_rows,
    doctor_server,
)
from mlkit.flows.findings import Finding, Level, fail
from mlkit.project import Project, locate_project

Check = Callable[[Project], Iterable[Finding]]

# name: what it looks at; those of the second table read rows, so the database must be usable
CHECKS: dict[str, Check] = {
    "sqlite": doctor_machine.sqlite,
    "disk": doctor_machine.disk,
    "clocks": doctor_clocks.clocks,
    "servers": doctor_server.servers,
    "permissions": doctor_files.permissions,
    "key": doctor_files.key,
    "journals": doctor_files.journals,
    "timetable": doctor_code.timetable,
    "rules": doctor_code.rules,
    "database": doctor_rows.database,
}
ROW_CHECKS: dict[str, Check] = {
    "clock": doctor_rows.clock,
    "audit trail": doctor_rows.audit_trail,
    "erasures": doctor_rows.erasures,
    "jobs": doctor_rows.jobs,
    "alerts": doctor_rows.alerts,
    "models": doctor_files.models,
    "libraries": doctor_files.libraries,
    "code": doctor_code.code,
    "data": doctor_files.data,
    "features": doctor_rows.features,
    "leftovers": doctor_files.unneeded,
    "copies": doctor_files.dead_copies,
    "backups": doctor_files.backups,
}


class Checked(msgspec.Struct, frozen=True):
    """One finding under the name of its check."""

    check: str
    level: Level
    found: str
    fix: str


class Examined(msgspec.Struct, frozen=True):
    """Everything found; ``level`` is the worst."""

    project: Path
    level: Level
    checks: tuple[Checked, ...]


def examine(
    path: Path | None,
    *,
    progress: Callable[[str], None] | None = None,
    closer: Mapping[str, Check] | None = None,
) -> Examined:
    """Run every check on the project in ``path``; one that fails keeps no other from its turn.

    The database is opened as it is: an old, damaged or missing one is a finding. Checks of
    ``closer`` take the place of those of the same name.
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


def _run(project: Project, name: str, check: Check, say: Callable[[str], None]) -> list[Checked]:
    say(name)
    findings: list[Finding] = []
    try:
        findings.extend(check(project))
    except (MlkitError, SQLAlchemyError, OSError) as error:  # whatever a check meets is a finding
        findings.append(fail(f"{error}"))
    except Exception as error:  # noqa: BLE001  # so is what it was not made for
        findings.append(fail(f"the check itself failed: {type(error).__name__}: {error}"))
    return [Checked(name, finding.level, finding.found, finding.fix) for finding in findings]
