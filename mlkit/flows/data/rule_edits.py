"""Show the rules of a dataset, and add the values that a user allows."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from mlkit.errors import InvalidInputError, NotFoundError
from mlkit.flows.data import acceptance
from mlkit.project import Project
from mlkit.store import audit, datasets
from mlkit.store.disk import blobs, modes


class RuleLine(msgspec.Struct, frozen=True):
    """One rule as shown; without ``column`` it applies to whole rows or the whole table."""

    column: str
    rule: str
    level: str


class RulesShown(msgspec.Struct, frozen=True):
    """The rules that the next version of a dataset is checked against."""

    dataset: str
    file: str
    added: tuple[str, ...]
    quarantine: float
    rules: tuple[RuleLine, ...]


def show(project: Project, name: str) -> RulesShown:
    """Return the rules of a dataset; raises NotFoundError."""
    with project.read() as s:
        datasets.get(s, name)
    return _shown(name, acceptance.read_rules(project, name), ())


def accept(project: Project, name: str, pairs: Sequence[str]) -> RulesShown:
    """Add values to lists of allowed ones (``column=value``) in the file of the user's rules.

    All other lines of the file stay unchanged. Raises InvalidInputError or NotFoundError.
    """
    from mlkit.steps.rules import rule_edits  # imports pyarrow, which most commands do not need

    with project.lock(f"data-{name}", busy=f"another process is adding to '{name}'; try again"):
        with project.read() as s:
            datasets.get(s, name)
        rules = acceptance.read_rules(project, name)
        text, accepted = str(rules.text), Counter[str]()
        for pair in pairs:
            column, equals, value = _split(text, pair, rules.label)
            if not equals:
                raise InvalidInputError(f"'{pair}' is no COLUMN=VALUE, such as plan=gold")
            text = rule_edits.allow(text, column, value, rules.label)
            accepted[column] += 1
        file = acceptance.schema_file(project, name)
        modes.make_folder(file.parent)
        blobs.write_durably(file, text.encode())
        with project.write() as s:
            audit.record(
                s, project.now(), actor=project.actor, action="data rules", subject=name,
                details={"accepted": dict(accepted)},  # no values: they could not be erased
            )  # fmt: skip
        return _shown(name, acceptance.read_rules(project, name), tuple(pairs))


def _split(text: str, pair: str, label: str) -> tuple[str, str, str]:
    """Return column, '=' and value; the name of a column may itself contain '='."""
    from mlkit.steps.rules import rule_file as rules

    known = rules.from_yaml(text, label).columns
    fitting = [name for name in known if pair.startswith(f"{name}=")]
    if fitting:
        column = max(fitting, key=len)
        return column, "=", pair[len(column) + 1 :]
    return pair.partition("=")


def _shown(name: str, rules: acceptance.Rules, added: tuple[str, ...]) -> RulesShown:
    from mlkit.steps.rules import rule_file as yaml_form

    if rules.text is None:
        raise NotFoundError(f"dataset '{name}' has no rules yet")
    schema = yaml_form.from_yaml(rules.text, rules.label)
    lines = []
    for column, body in schema.columns.items():
        if body.dtype is not None:
            lines.append(RuleLine(column, f"type {body.dtype}", "error"))
        lines += [RuleLine(column, rule.label, rule.level) for rule in body.rules]
    lines += [RuleLine("", rule.label, rule.level) for rule in schema.rules]
    return RulesShown(name, rules.label, added, schema.quarantine, tuple(lines))
