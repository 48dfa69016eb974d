"""Whether rows may become a version of a dataset: its rules, as the user left them, decide."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mlkit.errors import CheckFailedError, InvalidInputError
from mlkit.project import Project
from mlkit.store import blobs, datasets

if TYPE_CHECKING:
    import pyarrow as pa

    from mlkit.steps.tabular import Tabular


@dataclass(frozen=True)
class Roles:
    """Which columns of a dataset have a part to play."""

    target: str | None = None
    time: str | None = None
    entity: str | None = None


@dataclass(frozen=True)
class Accepted:
    """Rows that may become a version, and the rules they passed."""

    table: "Tabular"
    schema_yaml: str
    profile: list[dict[str, Any]]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Rules:
    """The schema of a dataset as YAML (None before its first version), and where it is edited."""

    text: str | None
    label: str


def schema_file(project: Project, name: str) -> Path:
    """Return where the user edits the rules of dataset ``name``."""
    return project.schemas_dir / f"{name}.yaml"


def read_rules(project: Project, name: str) -> Rules:
    """Return the rules as the user left them; without a file, as the newest version passed them."""
    file = schema_file(project, name)
    label = str(file.relative_to(project.root))
    if file.is_file():
        try:
            return Rules(file.read_text("utf-8"), label)
        except UnicodeDecodeError as error:
            raise InvalidInputError(f"{label} is not UTF-8: {error}") from error
    with project.read() as s:
        dataset = datasets.find(s, name)
        return Rules(dataset.versions[-1].schema_yaml if dataset is not None else None, label)


def write_rules(project: Project, name: str, text: str) -> None:
    """Write the rules unless the user has them; what a kill left unwritten, the next add writes."""
    file = schema_file(project, name)
    if not file.exists():
        file.parent.mkdir(mode=0o700, exist_ok=True)
        blobs.write_durably(file, text.encode())


def types(rules: Rules) -> "dict[str, pa.DataType]":
    """Return the types that the rules demand: what they call text is not taken for numbers."""
    from mlkit.steps import checks  # pandas, which most other flows do without

    return {} if rules.text is None else checks.types(checks.from_yaml(rules.text, rules.label))


def accept(name: str, table: "Tabular", *, roles: Roles, rules: Rules) -> Accepted:
    """Return the rows with types, rules, profile and warnings.

    Raises CheckFailedError with every failure, or InvalidInputError if a named column is missing.
    """
    from mlkit.steps import checks, profile, quality  # pandas, which most other flows do without

    need_columns(table.column_names, roles)
    table, warnings = quality.without_infinities(table)
    warnings += quality.of_raw_time(table, roles.time)
    table, failures = checks.keyed(table, target=roles.target, time=roles.time)
    if rules.text is None:
        schema = checks.infer(table, target=roles.target, time=roles.time, entity=roles.entity)
        text = checks.to_yaml(schema)
    else:
        text = rules.text
        schema = checks.from_yaml(text, rules.label)
        findings = checks.check(table, schema)
        failures = list(dict.fromkeys([*failures, *findings.failures]))
        warnings += findings.warnings
    if failures:
        raise _refusal(name, failures, warnings, edit=rules.label if rules.text else None)
    table = checks.conform(table, schema)
    profiles = profile.describe(table)
    warnings += quality.warnings(table, profiles, target=roles.target, time=roles.time)
    return Accepted(table, text, [msgspec.to_builtins(p) for p in profiles], tuple(warnings))


def need_columns(known: list[str], roles: Roles) -> None:
    """Raise InvalidInputError if a column that has a role is not among ``known``."""
    for role in ("target", "time", "entity"):
        column = getattr(roles, role)
        if column is not None and column not in known:
            listed = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
            raise InvalidInputError(f"no column '{column}' for --{role}; the columns are: {listed}")


def _refusal(
    name: str, failures: list[Any], warnings: list[str], *, edit: str | None
) -> CheckFailedError:
    from mlkit.steps import checks  # loaded already by the check

    lines = [f"dataset '{name}' refuses these rows:", *checks.lines(failures)]
    if edit is not None:
        lines.append(f"mend the rows, or the rules in {edit}")
    details = {"dataset": name, "failures": failures, "warnings": warnings}
    return CheckFailedError("\n".join(lines), details)
