"""The first rules of a joined dataset: inferred, with relaxed rules for the columns of views.

Serving fills these columns with defaults, nulls and new values of the view, and retraining uses
that log. Their values are constrained by the tests of the view and the rules of its source.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import yaml

from mlkit.flows.features import requests
from mlkit.provenance import ViewUse
from mlkit.steps.rules import yaml_text


def of_views(uses: Sequence[ViewUse]) -> Callable[[str], str]:
    """Return a function that relaxes inferred rules for the columns of these views."""
    free = {column: column in requests.may_be_null(u) for u in uses for column in u.columns}
    return lambda text: without_limits(text, free) if free else text


def without_limits(text: str, columns: Mapping[str, bool]) -> str:
    r"""Return rules that check only type and presence of these columns; True allows nulls.

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
