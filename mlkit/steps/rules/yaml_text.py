"""YAML that round-trips: it is parsed as it was written."""

import math
import re
from typing import Any

import yaml

from mlkit.errors import InvalidInputError

_MOST_DIGITS = 4300  # digits of an integer that Python prints
_BREAKS = re.compile("[\n\r\x85\u2028\u2029]")


class _Loader(yaml.SafeLoader):
    """Refuses integers too long to print, in any notation."""

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Return the number; raises ValueError for too many digits."""
        value: int = super().construct_yaml_int(node)
        if value.bit_length() > _MOST_DIGITS / math.log10(2):
            raise ValueError(f"Exceeds the limit ({_MOST_DIGITS} digits) for whole numbers")
        return value


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


class _Strict(_Loader):
    """Refuses duplicate keys in a mapping, of which YAML takes the last."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Return the mapping; raises YAMLError with the line of a duplicate key."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else None
            if name is not None and name in seen:
                problem = f"'{key.value}' is there twice; leave one of them out"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen.add(name)
        return node


class _Dumper(yaml.SafeDumper):
    """Quotes texts with line breaks so that these are escaped: unquoted they become blanks."""


def dump(value: Any, **options: Any) -> str:
    r"""Return ``value`` as YAML, keeping its order.

    >>> dump(["a\x85b"])
    '- "a\\Nb"\n'
    """
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, **options)
    return text


def load(text: str, origin: str) -> Any:
    """Parse YAML; raises InvalidInputError with ``origin`` and position.

    The parser itself raises no YAML error for numbers with thousands of digits, invalid days and
    deeply nested brackets.
    """
    return _load(text, origin, _Loader)


def refuse_twins(text: str, origin: str) -> None:
    """Raise InvalidInputError for duplicate keys, or a text that is no YAML.

    Not for recorded versions, which nobody can edit.
    """
    _load(text, origin, _Strict)


def _load(text: str, origin: str, loader: type[_Loader]) -> Any:
    try:
        return yaml.load(text, Loader=loader)  # noqa: S506  # it is a SafeLoader
    except yaml.YAMLError as error:
        raise InvalidInputError(f"{origin} is not valid YAML: {_place(error)}") from error
    except RecursionError as error:
        raise InvalidInputError(f"{origin} is nested too deeply; write it flatter") from error
    except AttributeError as error:  # !!timestamp of an invalid word
        raise InvalidInputError(f"{origin} has a time that is none; write 2026-01-31") from error
    except KeyError as error:  # !!bool of an invalid word
        raise InvalidInputError(f"{origin} has {error}, which is neither true nor false") from error
    except (ValueError, OverflowError) as error:
        reason = str(error).partition(";")[0]
        raise InvalidInputError(f"{origin} has a value that cannot be read: {reason}") from error


def _place(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"line {mark.line + 1}: {problem}" if mark is not None else str(problem)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = '"' if _BREAKS.search(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)
