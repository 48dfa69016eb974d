"""The first rules of a joined dataset: as inferred, but for the columns that views give.

Serving puts defaults and nulls there, and values that a view had never given before; the log of
that is learned from. What these must be like is for the view's own tests and its source to say.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import yaml

from mlkit.flows import acceptance, request_features
from mlkit.flows.acceptance import Roles
from mlkit.project import Project
from mlkit.steps.feature_view import ViewUse

if TYPE_CHECKING:
    import pyarrow as pa


@contextmanager
def suggested(
    project: Project, name: str, table: "pa.Table", roles: Roles, uses: Sequence[ViewUse]
) -> Iterator[None]:
    """Have the rules of a new dataset written while it is added; they go if that fails.

    Whoever has rules already keeps them.
    """
    if not uses or acceptance.read_rules(project, name).text is not None:
        yield
        return
    from mlkit.steps import checks  # pandas, which most other flows do without

    schema = checks.infer(table, target=roles.target, time=roles.time, entity=roles.entity)
    free = {column: column in request_features.may_be_null(u) for u in uses for column in u.columns}
    acceptance.write_rules(project, name, without_limits(checks.to_yaml(schema), free))
    try:
        yield
    except BaseException:
        acceptance.schema_file(project, name).unlink(missing_ok=True)
        raise


def without_limits(text: str, columns: Mapping[str, bool]) -> str:
    r"""Return rules that ask nothing of these columns but their type, and a value unless True.

    >>> without_limits("# Yours.\ncolumns:\n  x: {dtype: Int64, isin: [1]}\n", {"x": True})
    '# Yours.\ncolumns:\n  x:\n    dtype: Int64\n    nullable: true\n'
    """
    tree = yaml.safe_load(text)
    for name, nullable in columns.items():
        body = {"dtype": tree["columns"][name].get("dtype")}
        tree["columns"][name] = body | ({"nullable": True} if nullable else {})
    return _head(text.splitlines(keepends=True)) + yaml.safe_dump(
        tree, sort_keys=False, allow_unicode=True
    )


def _head(lines: Collection[str]) -> str:
    return "".join(line for line in lines if line.startswith("#"))
