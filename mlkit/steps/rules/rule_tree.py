"""Convert a schema to the tree of its YAML form."""

from collections.abc import Sequence
from typing import Any

from mlkit.steps.rules.schema import (
    CHECK,
    KEY,
    NOT_NULLABLE,
    ROWS,
    UNIQUE,
    UNIQUE_TOGETHER,
    ColumnRules,
    Rule,
    Schema,
)


def of(schema: Schema) -> dict[str, Any]:
    """Return the tree that ``rule_file.from_yaml`` parses as ``schema``."""
    tree: dict[str, Any] = {"columns": {n: _column_tree(c) for n, c in schema.columns.items()}}
    tree |= _whole_tree([rule for rule in schema.rules if rule.level == "error"])
    soft = _whole_tree([rule for rule in schema.rules if rule.level == "warn"])
    if soft:
        tree["warn"] = soft
    if schema.strict:
        tree["strict"] = True
    if schema.quarantine:
        tree["quarantine"] = schema.quarantine
    return tree


def _column_tree(column: ColumnRules) -> dict[str, Any]:
    tree: dict[str, Any] = {} if column.dtype is None else {"dtype": column.dtype}
    names = {rule.name for rule in column.rules}
    if NOT_NULLABLE not in names:
        tree["nullable"] = True
    if not column.required:
        tree["required"] = False
    hard = [rule for rule in column.rules if rule.level == "error"]
    tree |= dict(_written(rule) for rule in hard if rule.name != NOT_NULLABLE)
    soft = dict(_written(rule) for rule in column.rules if rule.level == "warn")
    return {**tree, "warn": soft} if soft else tree


def _whole_tree(rules: Sequence[Rule]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for rule in rules:
        if rule.name == CHECK:
            tree.setdefault("checks", []).append(rule.arguments["text"])
        elif rule.name == KEY:
            tree.setdefault("keys", []).append(rule.arguments["columns"])
        elif rule.name == UNIQUE_TOGETHER:
            tree["unique"] = rule.arguments["columns"]
        else:
            name, value = _written(rule)
            tree[name] = value
    return tree


def _written(rule: Rule) -> tuple[str, Any]:
    """Return the key and the value of a rule in YAML."""
    if rule.name == NOT_NULLABLE:
        return "nullable", False
    if rule.name == UNIQUE:
        return "unique", True
    plain = [*rule.arguments.values()]
    short = len(plain) == 1 and rule.name not in (ROWS, "str_length")
    value: Any = plain[0] if short else dict(rule.arguments)
    return rule.name, {**value, "options": rule.options} if rule.options and not short else value
