"""``mlkit data diff``."""

from typing import TYPE_CHECKING

import click

from mlkit.cli import output

if TYPE_CHECKING:
    from mlkit.flows.data.catalog import Change, Diff
    from mlkit.project import Project
    from mlkit.steps.tables.row_changes import RowChanges

_MOST_CHARS = 1000  # characters of a value, or of a list of values


@click.command()
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="[NEW]", required=False)
@output.json_option
@output.with_project
def diff(project: "Project", old: str, new: str | None, *, as_json: bool) -> None:
    """Compare two versions: columns, rules, rows, and the distribution of each column.

    Rows are told apart by the entity, and by the time if there is one; without an entity, rows are
    the same if all their values are.

    `mlkit data diff churn` compares the last two versions, `churn@2` the second with the newest,
    `churn@1 churn@3` (or `churn@1 3`) any two.
    """
    from mlkit.flows.data import catalog  # imports SQLAlchemy

    output.emit(catalog.diff(project, old, new), as_json=as_json, render=_render_diff)


def _render_diff(found: "Diff") -> None:
    output.say(f"{found.old} -> {found.new}: {found.rows.old:,} -> {found.rows.new:,} rows"
               + ("; the rows are the same" if found.same else ""))  # fmt: skip
    for name in found.columns.added:
        output.say(f"new column: {name}")
    for name in found.columns.removed:
        output.say(f"column gone: {name}")
    for change in found.columns.changed:
        output.say(f"type of {change.column}: {change.old} -> {change.new}")
    for change in found.rules:
        output.say(f"rules of {change.column}: {_rule_change(change)}")
    if found.same:
        return
    _render_rows(found.keys)
    output.say(f"distributions: {found.drift.verdict}")
    output.print_table(
        ("column", "kind", "test", "effect", "threshold", "q value", "drifted"),
        [
            (f.name, f.kind, f.test, f.effect, f.threshold, f.q_value, f.drifted)
            for f in found.drift.features
        ],
    )


def _render_rows(found: "RowChanges") -> None:
    by = f" by {', '.join(found.key)}" if found.key else ""
    changed = f", {found.changed:,} changed" if found.key else ""
    output.say(
        f"rows{by}: {found.added:,} added, {found.removed:,} removed{changed}, {found.same:,} same"
    )
    if found.repeated:
        output.say(f"{found.repeated:,} rows have a key that is there more than once; not compared")
    for word, keys in found.examples.items():
        shown = "; ".join(", ".join(str(_part(value)) for value in key) for key in keys)
        output.say(f"  first {word}: {shown}")
    if found.columns:
        output.print_table(
            ("column", "rows changed"), [(one.column, one.rows) for one in found.columns]
        )


def _part(value: object) -> object:
    """Return one value of a key with all digits, because a rounded key is another key."""
    return value if isinstance(value, float) else _cut(output.cell(value))


def _cut(value: object) -> str:
    text = str(value)
    return (
        text if len(text) <= _MOST_CHARS else f"{text[:_MOST_CHARS]}... ({len(text):,} characters)"
    )


def _rule_change(change: "Change") -> str:
    """Return the rules that differ, old and new."""
    old, new = change.old or {}, change.new or {}
    keys = [key for key in dict.fromkeys([*old, *new]) if old.get(key) != new.get(key)]
    return "; ".join(
        f"{key} {_cut(old.get(key, '-'))} -> {_cut(new.get(key, '-'))}" for key in keys
    )
