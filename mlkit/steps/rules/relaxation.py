"""Relax rules for logged rows without some columns: a model does not log columns it ignores."""

from collections.abc import Collection

import msgspec

from mlkit.steps.rules import expressions
from mlkit.steps.rules.schema import CHECK, ColumnRules, Rule, Schema


def relax(schema: Schema, names: Collection[str]) -> Schema:
    """Return the schema with only the type rules for the columns ``names``.

    >>> strict = Schema({"id": ColumnRules("Int64", rules=(Rule("field_uniqueness"),))})
    >>> relax(strict, ["id"]).columns
    {'id': ColumnRules(dtype='Int64', required=False, rules=())}
    """
    columns = {
        name: ColumnRules(rules.dtype, required=False) if name in names else rules
        for name, rules in schema.columns.items()
    }
    kept = tuple(rule for rule in schema.rules if not set(names) & _named_by(rule))
    return msgspec.structs.replace(schema, columns=columns, rules=kept)


def _named_by(rule: Rule) -> set[str]:
    if rule.name == CHECK:
        return set(expressions.columns_of(rule.arguments["text"]))
    return set(rule.arguments.get("columns", ()))
