"""The rows of a feature view: from its dataset through its function or query, checked."""

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
    """The version of a dataset that a view is made of; None twice for a database."""

    reference: str | None
    sha256: str | None


class ViewRows(NamedTuple):
    """Entity, time and features of a view, and what a reader has to know of it."""

    use: ViewUse
    table: "pa.Table"
    source: Source


def source(project: Project, view: FeatureView, number: int | None = None) -> Source:
    """Return the newest version of the dataset that the view is made of, or version ``number``."""
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
    """Return what changes when the code of the view may have.

    The text of the whole file counts, and what it imports from the user.
    """
    parts = (declared.digest, view.name, view.source, view.query or "")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def compute(
    project: Project, declared: Declared, view: FeatureView, made_of: Source | None = None
) -> ViewRows:
    """Return the rows of ``view`` over the newest version of its dataset, or over ``made_of``.

    Raises InvalidInputError that names file, view and column for whatever is wrong with them.
    """
    made_of = made_of or source(project, view)
    table = None if made_of.sha256 is None else ingest.load_table(project, made_of.sha256)
    rows = apply(view, table, project.root)
    from mlkit.steps.features import output  # pyarrow, which `features list` does without

    use = output.use(view, rows, dataset=made_of.reference, digest=digest(declared, view))
    return ViewRows(use, rows, made_of)


def apply(view: FeatureView, table: "pa.Table | None", root: Path) -> "pa.Table":
    """Return entity, time and features that the view makes of the rows of its dataset.

    Without a dataset it asks its database; a SQLite file is looked for in ``root``.
    """
    from mlkit.steps.features import output  # pyarrow, which `features list` does without

    if view.function is not None:
        function = view.function
        made = output.guarded(view, FILE, lambda: function(output.frame(table)))
        return output.checked(output.table_of(made, view), view)
    return output.checked(_queried(view, table, root), view)


def _queried(view: FeatureView, table: "pa.Table | None", root: Path) -> "pa.Table":
    from mlkit.steps.features import output  # pyarrow, which `features list` does without

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
