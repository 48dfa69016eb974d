"""Compute the rows of a feature view from its dataset by its function or query, and check them."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mlkit.errors import InvalidInputError, MlkitError
from mlkit.flows.data import ingest
from mlkit.flows.features.declarations import FILE, Declared
from mlkit.project import Project
from mlkit.provenance import ViewUse
from mlkit.steps.features.view import FeatureView
from mlkit.store import datasets, foreign

if TYPE_CHECKING:
    import pyarrow as pa


class Source(NamedTuple):
    """The dataset version that a view is computed from; both None for a database."""

    reference: str | None
    sha256: str | None


class ViewRows(NamedTuple):
    """Entity, time and features of a view, and its metadata for readers."""

    use: ViewUse
    table: "pa.Table"
    source: Source


def source(project: Project, view: FeatureView, number: int | None = None) -> Source:
    """Return the newest version of the dataset of a view, or version ``number``."""
    if view.is_query_of_a_database:
        return Source(None, None)
    with project.read() as s:
        try:
            version = datasets.get_version(s, view.source, number)
        except MlkitError as error:
            raise type(error)(f"{view} is made of dataset '{view.source}': {error}") from error
        ingest.refuse_collected(version)
        return Source(version.reference, version.sha256)


def digest(declared: Declared, view: FeatureView) -> str:
    """Return a digest that changes when the code of the view may have changed.

    It covers the whole file and the user's modules that it imports.
    """
    parts = (declared.digest, view.name, view.source, view.query or "")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def compute(
    project: Project, declared: Declared, view: FeatureView, made_of: Source | None = None
) -> ViewRows:
    """Return the rows of ``view`` over the newest version of its dataset, or over ``made_of``.

    Raises InvalidInputError with file, view and column.
    """
    made_of = made_of or source(project, view)
    table = None if made_of.sha256 is None else ingest.load_table(project, made_of.sha256)
    rows = apply(view, table, project.root)
    from mlkit.steps.features import output  # imports pyarrow, which `features list` does not need

    use = output.use(view, rows, dataset=made_of.reference, digest=digest(declared, view))
    return ViewRows(use, rows, made_of)


def apply(view: FeatureView, table: "pa.Table | None", root: Path) -> "pa.Table":
    """Compute entity, time and features of a view from the rows of its dataset.

    A view without a dataset queries its database; a relative SQLite path is resolved in ``root``.
    """
    from mlkit.steps.features import output  # imports pyarrow, which `features list` does not need

    if view.function is not None:
        function = view.function
        made = output.guarded(view, FILE, lambda: function(output.frame(table)))
        return output.checked(output.table_of(made, view), view)
    return output.checked(_queried(view, table, root), view)


def _queried(view: FeatureView, table: "pa.Table | None", root: Path) -> "pa.Table":
    from mlkit.steps.features import output  # imports pyarrow, which `features list` does not need

    query = str(view.query)
    try:
        if table is None:
            names, rows = foreign.of_database(view.source, query, root)
        else:
            lines = output.lines(table)
            names, rows = foreign.over_rows(view.source, table.column_names, lines, query)
    except InvalidInputError as error:
        raise InvalidInputError(f"{FILE}, {view}: {error}") from error
    return output.gathered(names, rows, view)
