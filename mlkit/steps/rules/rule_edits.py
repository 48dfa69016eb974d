"""Edit the YAML of a schema in place: all other lines stay unchanged."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml

from mlkit.errors import InvalidInputError, NotFoundError
from mlkit.steps import suggestion
from mlkit.steps.rules import rule_file, yaml_text
from mlkit.steps.tables import dtypes

_NOBODY = "(erased)"
_KEYS = ("allowed_values", "value")


class _Place(NamedTuple):
    """A list in the text, and the type of its column."""

    node: yaml.SequenceNode
    dtype: object


def allow(text: str, column: str, value: str, origin: str) -> str:
    """Return ``text`` with ``value`` added to the ``isin`` of ``column``, otherwise unchanged.

    Raises NotFoundError if there is no such column or list, InvalidInputError if the value is not
    of the column's type.
    """
    place = _find(text, column, origin)
    typed = _typed(value, place.dtype, f"{origin}, column '{column}'")
    listed = rule_file.from_yaml(text, origin).columns[column].rules
    if any(rule.name == "isin" and typed in rule.arguments["allowed_values"] for rule in listed):
        return text
    written = yaml_text.dump([typed], default_flow_style=True, width=10_000)
    edited = _insert(text, place.node, written.strip()[1:-1])
    rule_file.from_yaml(edited, origin)
    return edited


def disallow(text: str, lost: Mapping[str, frozenset[str]], origin: str) -> str:
    """Return ``text`` without the ``lost`` values of each column in its ``isin``.

    A list that would become empty gets a placeholder that no row has.
    """
    for column, values in lost.items():
        try:
            node = _find(text, column, origin).node
        except NotFoundError:  # no such column, or no list
            continue
        if any(item.value in values for item in node.value):
            text = _remove(text, node, values)
    return text


def _remove(text: str, node: yaml.SequenceNode, values: frozenset[str]) -> str:
    kept = [item for item in node.value if item.value not in values]
    if node.flow_style or not kept:
        listed = [text[item.start_mark.index : item.end_mark.index] for item in kept]
        end = node.value[-1].end_mark.index if not node.flow_style else node.end_mark.index
        return f"{text[: node.start_mark.index]}[{', '.join(listed or [_NOBODY])}]{text[end:]}"
    for item in reversed(node.value):
        if item.value in values:
            start = text.rfind("\n", 0, item.start_mark.index) + 1
            end = text.find("\n", item.end_mark.index)
            text = text[:start] + ("" if end < 0 else text[end + 1 :])
    return text


def _find(text: str, column: str, origin: str) -> _Place:
    rule_file.from_yaml(text, origin)  # report faults of the file first
    columns = _child(yaml.compose(text, Loader=yaml.SafeLoader), "columns")
    names = [str(key.value) for key, _ in columns.value]
    body = _child(columns, column)
    if body is None:
        raise NotFoundError(f"{origin} has no column '{column}'; {suggestion.hint(column, names)}")
    for holder in (body, _child(body, "checks"), _child(body, "warn")):
        found = _child(holder, "isin")
        if isinstance(found, yaml.MappingNode):
            found = next((n for n in (_child(found, key) for key in _KEYS) if n), None)
        if isinstance(found, yaml.SequenceNode):
            dtype = _child(body, "dtype")
            return _Place(found, None if dtype is None else dtype.value)
    raise NotFoundError(f"{origin}: column '{column}' has no list of allowed values (isin)")


def _child(node: Any, key: str) -> Any:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def _typed(value: str, dtype: object, where: str) -> object:
    kind = rule_file.arrow_type(dtype)
    readers: Mapping[Any, Any] = {dtypes.INTEGER: int, dtypes.NUMBER: float}
    try:
        return readers.get(kind, str)(value)
    except ValueError as error:
        raise InvalidInputError(f"{where}: '{value}' is not {dtypes.ONE[kind]}") from error


def _insert(text: str, node: yaml.SequenceNode, written: str) -> str:
    if node.flow_style:
        end = node.end_mark.index - 1
        comma = ", " if node.value else ""
        return f"{text[:end].rstrip()}{comma}{written}{text[end:]}"
    last = node.value[-1]
    end = text.find("\n", last.end_mark.index)
    end = len(text) if end < 0 else end
    indent = " " * node.start_mark.column
    return f"{text[:end]}\n{indent}- {written}{text[end:]}"
