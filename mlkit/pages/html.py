"""Render HTML templates; values from outside are escaped."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mlkit import printable
from mlkit.pages import marks, words


def render(template: str, **values: Any) -> str:
    """Render ``templates/TEMPLATE`` with ``values``."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("mlkit.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "ago": words.ago, "moment": words.moment, "number": words.number,
        "percent": words.percent, "sentence": words.sentence, "short": words.short,
    }  # fmt: skip
    made.globals |= {"kind": marks.kind, "icon": marks.icon, "symbol": marks.symbol}
    return made


def _printable(value: Any) -> Any:
    """Return a value for a page; texts lose control characters and lone surrogates."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return printable.text(value)
    return value
