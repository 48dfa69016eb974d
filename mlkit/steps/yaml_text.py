"""YAML that reads back as it was written."""

import re
from typing import Any

import yaml

_BREAKS = re.compile("[\n\r\x85\u2028\u2029]")


class _Dumper(yaml.SafeDumper):
    """Quotes texts with line breaks so that these are escaped: read plainly, they become blanks."""


def dump(value: Any, **options: Any) -> str:
    r"""Return ``value`` as YAML, in the order it has.

    >>> dump(["a\x85b"])
    '- "a\\Nb"\n'
    """
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, **options)
    return text


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = '"' if _BREAKS.search(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)
