"""Edit the YAML of a schema as a person would: one line more, all others as they were."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml

from mlkit.errors import InvalidInputError, NotFoundError
from mlkit.steps import casts, rules, suggestion, yaml_text

_KEYS = ("allowed_values", "value")


class _Place(NamedTuple):
    """A list in the text, and the type of the column that it is about."""

    node: yaml.SequenceNode
    dtype: object


def allow(text: str, column: str, value: str, origin: str) -> str:
    """Return ``text`` with ``value`` in the ``isin`` of ``column``; nothing else is touched.

    Raises NotFoundError if there is no such column or list, InvalidInputError if the value is not
    of the column's type.
    """
    place = _find(text, column, origin)
    typed = _typed(value, place.dtype, f"{origin}, column '{column}'")
    listed = rules.from_yaml(text, origin).columns[column].rules
    if any(rule.name == "isin" and typed in rule.arguments["allowed_values"] for rule in listed):
        return text
    written = yaml_text.dump([typed], default_flow_style=True, width=10_000)
    edited = _insert(text, place.node, written.strip()[1:-1])
    rules.from_yaml(edited, origin)
    return edited


def _find(text: str, column: str, origin: str) -> _Place:
    rules.from_yaml(text, origin)  # what is wrong in the file is said in its own words
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
    kind = rules.arrow_type(dtype)
    readers: Mapping[Any, Any] = {casts.INTEGER: int, casts.NUMBER: float}
    try:
        return readers.get(kind, str)(value)
    except ValueError as error:
        raise InvalidInputError(f"{where}: '{value}' is not {casts.ONE[kind]}") from error


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
