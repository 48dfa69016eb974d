"""Check rows against the rules of a dataset before they become a version of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, UnsetType

from mlkit.errors import CheckFailedError, InvalidInputError
from mlkit.flows.data import new_values, quarantine
from mlkit.project import Project
from mlkit.provenance import Quarantine
from mlkit.store import datasets
from mlkit.store.disk import blobs, modes

if TYPE_CHECKING:
    import pyarrow as pa

    from mlkit.steps.drift.result import DriftResult
    from mlkit.steps.rules.rule_failure import Circumstances, RuleFailure
    from mlkit.steps.rules.schema import Schema
    from mlkit.steps.tables.tabular import Tabular


@dataclass(frozen=True)
class Roles:
    """The columns of a dataset that have a role."""

    target: str | None = None
    time: str | None = None
    entity: str | None = None


@dataclass(frozen=True)
class Accepted:
    """Rows that passed the checks, and the rules that they passed."""

    table: "Tabular"
    schema_yaml: str
    profile: list[dict[str, Any]]
    warnings: tuple[str, ...]
    aside: Quarantine | UnsetType = UNSET


@dataclass(frozen=True)
class Rules:
    """The schema of a dataset as YAML (None before its first version), and where it is edited.

    The other fields are inputs of the check: the time and the previous version, where failing rows
    go, the columns that are exempt from rules, and a function that edits the rules inferred from a
    first version.
    """

    text: str | None
    label: str
    circumstances: "Circumstances | None" = None
    shelf: quarantine.Shelf | None = None
    free: tuple[str, ...] = ()
    inferred: Callable[[str], str] = str


def schema_file(project: Project, name: str) -> Path:
    """Return where the user edits the rules of dataset ``name``."""
    return project.schemas_dir / f"{name}.yaml"


def read_rules(project: Project, name: str) -> Rules:
    """Return the user's rules; without a file, those that the newest version passed."""
    file = schema_file(project, name)
    label = str(file.relative_to(project.root))
    with project.read() as s:
        newest = datasets.newest(s, name)
        recorded = None if newest is None else newest.schema_yaml
        sha256 = None if newest is None else newest.sha256
    try:
        text = file.read_text("utf-8") if file.is_file() else recorded
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{label} is not UTF-8: {error}") from error
    if text is not None and text != recorded:
        from mlkit.steps.rules import yaml_text  # heavy import, not needed by most commands

        yaml_text.refuse_twins(text, label)
    return Rules(text, label, _circumstances(project, sha256), quarantine.shelf(project, name))


def _circumstances(project: Project, parent: str | None) -> "Circumstances":
    """Return the time and, where there is a version before, how rows differ from it."""
    from mlkit.steps.rules.rule_failure import Circumstances  # pyarrow: the list does without

    return Circumstances(project.now(), None if parent is None else _compare(project, parent))


def _compare(project: Project, parent: str) -> "Callable[[pa.Table], DriftResult | None]":
    def compare(current: "pa.Table") -> "DriftResult | None":
        from mlkit.steps.drift import detection  # imports scipy, which most rules do not need
        from mlkit.steps.tables.stored_table import StoredTable

        before = StoredTable(project.data.checked(parent))
        common = [name for name in current.column_names if name in before.column_names]
        if not common:
            return None
        rule = detection.DriftRule.from_settings(project.settings.drift)
        return detection.compare_tables(before.select(common), current.select(common), rule)

    return compare


def write_rules(project: Project, name: str, text: str) -> None:
    """Write the rules file if it is missing, also if an earlier add was killed before it did."""
    file = schema_file(project, name)
    if not file.exists():
        modes.make_folder(file.parent)
        blobs.write_durably(file, text.encode())


def types(rules: Rules, roles: Roles) -> "dict[str, pa.DataType]":
    """Return the column types that the rules require, so that text is not parsed as numbers.

    Before there are rules, the entity column is text (007 and 7 may be two customers), and the time
    column is a time even if its values are quoted.
    """
    from mlkit.steps.rules import checks  # imports pandas, which most other flows do not need
    from mlkit.steps.tables import dtypes

    if rules.text is not None:
        return checks.types(checks.from_yaml(rules.text, rules.label))
    said = {roles.time: dtypes.DATETIME, roles.entity: dtypes.TEXT}
    return {name: kind for name, kind in said.items() if name is not None}


def accept(name: str, table: "Tabular", *, roles: Roles, rules: Rules) -> Accepted:
    """Return the rows with types, rules, profile and warnings.

    Raises CheckFailedError with every failure, or InvalidInputError if a named column is missing.
    Rows that break a rule go to the quarantine with the reasons. The other rows are accepted if the
    rules allow it.
    """
    from mlkit.steps.quality import (  # imports pandas, which most other flows do not need
        profile,
        table_warnings,
    )
    from mlkit.steps.rules import checks

    need_columns(table.column_names, roles)
    table, warnings = table_warnings.without_infinities(table)
    warnings += table_warnings.of_raw_time(table, roles.time)
    rules, schema = _schema(rules)
    checked = _Checked(table) if schema is None else _checked(table, schema, rules)
    table, failures = checks.keyed(checked.table, target=roles.target, time=roles.time)
    if schema is None:
        schema = checks.infer(table, target=roles.target, time=roles.time, entity=roles.entity)
    else:
        findings = checks.findings(checked.found, table, schema)
        failures = list(dict.fromkeys([*failures, *findings.failures]))
        warnings += findings.warnings
    if failures:
        checked = replace(checked, asks=tuple(checks.renamed(failures, table, schema)))
        raise _refusal(name, failures, warnings, rules, checked)
    table = checks.conform(table, schema)
    profiles = profile.describe(table)
    warnings += _set_aside(name, rules, checked)
    warnings += table_warnings.warnings(
        table, profiles, target=roles.target, time=roles.time, entity=roles.entity
    )
    text = rules.text or rules.inferred(checks.to_yaml(schema))
    described = [msgspec.to_builtins(p) for p in profiles]
    return Accepted(table, text, described, tuple(warnings), checked.aside)


def _schema(rules: Rules) -> "tuple[Rules, Schema | None]":
    """Return the rules to store with the rows, as text and parsed."""
    from mlkit.steps.rules import checks, relaxation

    if rules.text is None:
        return rules, None
    schema = checks.from_yaml(rules.text, rules.label)
    if not rules.free:
        return rules, schema
    schema = relaxation.relax(schema, rules.free)
    return replace(rules, text=checks.to_yaml(schema)), schema


@dataclass(frozen=True)
class _Checked:
    """The rows that are left, the rules that they break, and the rows that were set aside.

    ``asks`` are questions to the user, printed with a refusal.
    """

    table: "Tabular"
    found: "Sequence[RuleFailure]" = ()
    aside: Quarantine | UnsetType = UNSET
    offers: Sequence[new_values.NewValues] = ()
    asks: tuple[str, ...] = ()


def _checked(table: "Tabular", schema: "Schema", rules: Rules) -> _Checked:
    """Look for rows that break rules, and set them aside where the rules say so."""
    from mlkit.steps.rules import failing_rules, rule_failure
    from mlkit.steps.rules import quarantine as rows

    circumstances = rules.circumstances or rule_failure.Circumstances()
    found = list(failing_rules.find(table, schema, circumstances))
    mask = rows.failing(found, table.num_rows)
    if mask is None:
        return _Checked(table, found)
    count = int(mask.sum())
    file = str(rules.shelf(rows.apart(table, found, mask))) if rules.shelf else UNSET
    aside = Quarantine(count, table.num_rows, file)
    offers = new_values.find(table, schema, found)
    if count < table.num_rows and count <= schema.quarantine * table.num_rows:
        table = rows.rest(table, mask)
        found = list(failing_rules.find(table, schema, circumstances))
    return _Checked(table, found, aside, offers)


def _set_aside(name: str, rules: Rules, checked: _Checked) -> list[str]:
    """Return the warning about rows that were left out."""
    aside = checked.aside
    if not aside:
        return []
    where = f" and are in {aside.file}" if aside.file else ""
    offers = [f"; {offer.in_short}; {offer.remedy(name, rules.label)}" for offer in checked.offers]
    left = f"quarantine: {aside.rows:,} of {aside.of:,} rows break rules{where}; left out"
    return [left + "".join(offers)]


def need_columns(known: list[str], roles: Roles) -> None:
    """Raise InvalidInputError if a column that has a role is not among ``known``."""
    for role in ("target", "time", "entity"):
        column = getattr(roles, role)
        if column is not None and column not in known:
            listed = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
            raise InvalidInputError(f"no column '{column}' for --{role}; the columns are: {listed}")


def _refusal(
    name: str, failures: list[Any], warnings: list[str], rules: Rules, checked: _Checked
) -> CheckFailedError:
    from mlkit.steps.rules import checks  # already imported by the check

    aside, offers = checked.aside, checked.offers
    head = f"dataset '{name}' refuses these rows:"
    lines = [" ".join([head, *(offer.in_short for offer in offers[:1])]), *checks.lines(failures)]
    lines += [*checked.asks, *(offer.remedy(name, rules.label) for offer in offers)]
    details: dict[str, Any] = {"dataset": name, "failures": failures, "warnings": warnings}
    if offers:
        details["new_values"] = {offer.column: list(offer.counts) for offer in offers}
    if aside and aside.file:
        details["quarantine"] = aside.file
        lines.append(f"the {aside.rows:,} failing rows, with the reasons, are in {aside.file}")
    if rules.text is not None:
        lines.append(f"mend the rows, or the rules in {rules.label}")
    return CheckFailedError("\n".join(lines), details)
