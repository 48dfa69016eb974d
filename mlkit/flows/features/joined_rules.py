"""The first rules of a joined dataset: as inferred, but for the columns that views give.

Serving puts defaults and nulls there, and values that a view had never given before; the log of
that is learned from. What these must be like is for the view's own tests and its source to say.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import yaml

from mlkit.flows.features import requests
from mlkit.provenance import ViewUse
from mlkit.steps.rules import yaml_text


def of_views(uses: Sequence[ViewUse]) -> Callable[[str], str]:
    """Return what makes the first rules of a dataset, joined of such views, of those inferred."""
    free = {column: column in requests.may_be_null(u) for u in uses for column in u.columns}
    return lambda text: without_limits(text, free) if free else text


def without_limits(text: str, columns: Mapping[str, bool]) -> str:
    r"""Return rules that ask nothing of these columns but their type, and a value unless True.

    >>> without_limits("# Yours.\ncolumns:\n  x: {dtype: Int64, isin: [1]}\n", {"x": True})
    '# Yours.\ncolumns:\n  x:\n    dtype: Int64\n    nullable: true\n'
    """
    tree = yaml.safe_load(text)
    for name, nullable in columns.items():
        body = {"dtype": tree["columns"][name].get("dtype")}
        tree["columns"][name] = body | ({"nullable": True} if nullable else {})
    return _head(text.splitlines(keepends=True)) + yaml_text.dump(tree)


def _head(lines: Collection[str]) -> str:
    return "".join(line for line in lines if line.startswith("#"))
