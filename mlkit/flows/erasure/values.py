"""Find the texts that only erased subjects had, to be removed from rules, profiles and models."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from mlkit.flows.data import ingest
from mlkit.flows.data.subjects import Subjects
from mlkit.flows.erasure import joins
from mlkit.flows.log import logs
from mlkit.project import Project
from mlkit.steps.tables import dtypes
from mlkit.steps.tables.tabular import Column, Tabular
from mlkit.store import datasets, registry
from mlkit.store.datasets import Dataset, DatasetVersion

Texts = dict[str, set[str]]


class Learned(NamedTuple):
    """What derived data must not keep: ``lost`` texts by column, and the erased ``rows``.

    ``left`` yields the remaining rows, anew at each call.
    """

    lost: Mapping[str, frozenset[str]]
    rows: tuple[pa.Table, ...]
    left: Callable[[], Iterator[Tabular]]

    def only_theirs(self, names: Sequence[str]) -> frozenset[tuple[Any, ...]]:
        """Return the values of ``names`` in the erased rows that no other row has."""
        found = {row for table in self.rows if _has(table, names) for row in _tuples(table, names)}
        for table in self.left() if found else ():
            if found and _has(table, names):
                found -= set(_tuples(_like(table.select(list(names)), found), names))
        return frozenset(found)


def of_dataset(
    project: Project, name: str, dataset: Dataset, erased: Subjects, models: Sequence[str]
) -> Learned:
    """Return the texts of ``erased`` that occur in no other row of ``name`` and its models' logs.

    They are erased from ``dataset``; ``name`` is that dataset or one joined from it.
    """
    theirs: Texts = {}
    tables = []
    for table, left in _versions(project, name, dataset, erased):
        if left is not table:
            _add(theirs, table, left)
            tables.append(_rows(table, dataset.entity_column, erased))
    for model in models:
        _add_logged(project, model, erased, theirs)
    if not theirs:
        return Learned({}, (), lambda: iter(()))

    def others() -> Iterator[Tabular]:
        return (left for _, left in _versions(project, name, dataset, erased))

    for left in others():
        _keep(theirs, left)
    for model in models:
        _keep_logged(project, model, erased, theirs)
    lost = {column: frozenset(texts) for column, texts in theirs.items() if texts}
    return Learned(lost, tuple(tables), others)


def _has(table: Tabular, names: Sequence[str]) -> bool:
    return bool(names) and set(names) <= set(table.column_names)


def _tuples(table: Tabular, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    return zip(*(table.column(name).to_pylist() for name in names), strict=True)


def _like(table: pa.Table, rows: set[tuple[Any, ...]]) -> pa.Table:
    """Return the rows of ``table`` whose values each occur in the same column of ``rows``."""
    for name, values in zip(table.column_names, zip(*rows, strict=True), strict=True):
        column = table.column(name)
        table = table.filter(pc.is_in(column, value_set=pa.array(values, column.type)))
    return table


def _versions(
    project: Project, name: str, dataset: Dataset, erased: Subjects
) -> Iterator[tuple[Tabular, Tabular]]:
    """Yield the rows of each version before and after; the same object if nothing is erased."""
    with project.read() as s:
        versions = [v for v in datasets.outline(s) if v.dataset.name == name]
        traces = {version.id: found for version, found in joins.traces(s, dataset)}
    for version in versions:
        if version.collected_at is None:
            table = ingest.load_version(project, version)
            yield table, _left(table, version, dataset, erased, traces.get(version.id, []))


def _left(
    table: pa.Table,
    version: DatasetVersion,
    dataset: Dataset,
    erased: Subjects,
    traces: list[joins.Trace],
) -> Tabular:
    if version.dataset_id == dataset.id:
        left = erased.without(table, dataset.entity_column)
        return table if left.num_rows == table.num_rows else left
    cleared, rows = joins.clear(table, traces, erased)
    found: Tabular = cleared if rows else table
    return found


def _add(theirs: Texts, table: Tabular, left: Tabular) -> None:
    """Add the texts of ``table`` that are not in ``left``."""
    for name in _texts(table):
        gone = _without(_unique(table, name), _unique(left, name))
        theirs.setdefault(name, set()).update(gone.to_pylist())


def _keep(theirs: Texts, left: Tabular) -> None:
    """Remove the texts that other rows have as well."""
    for name, texts in theirs.items():
        if texts and name in _texts(left):
            mine = pa.array(sorted(texts), pa.string())
            theirs[name] = set(_without(mine, _unique(left, name)).to_pylist())


def _add_logged(project: Project, model: str, erased: Subjects, theirs: Texts) -> None:
    for name, texts, mask in _logged(project, model, erased):
        found = texts.filter(mask).unique().drop_null().to_pylist()
        theirs.setdefault(name, set()).update(found)


def _keep_logged(project: Project, model: str, erased: Subjects, theirs: Texts) -> None:
    for name, texts, mask in _logged(project, model, erased):
        others = texts.filter(pc.invert(mask)).unique()
        theirs[name] = theirs.get(name, set()) - set(others.to_pylist())


def _logged(project: Project, model: str, erased: Subjects) -> Iterator[tuple[str, Any, Any]]:
    """Yield name, texts and the mask of the subjects' rows for each text column of a log."""
    window = logs.window(project, model)
    entities = window.column("_entity")
    subjects = [value for value in entities.unique().to_pylist() if erased.has(value)]
    if not subjects:
        return
    mask = pc.is_in(entities, value_set=pa.array(subjects, entities.type))
    for name in ["_entity", *(n for n in window.column_names if not n.startswith("_"))]:
        column = window.column(name)
        if column.type == dtypes.TEXT:
            yield name, column, mask


def _rows(table: Tabular, entity: str | None, erased: Subjects) -> pa.Table:
    """Return the mask of rows about the subjects; rows without an entity are not."""
    if entity is None or entity not in table.column_names:
        return table.select([]).slice(0, 0)
    column = table.column(entity)
    subjects = [value for value in column.unique().to_pylist() if erased.has(value)]
    mask = pc.is_in(column, value_set=pa.array(subjects, column.type))
    return table.select(list(table.column_names)).filter(mask)


def _texts(table: Tabular) -> list[str]:
    return [name for name in table.column_names if Column(table, name).type == dtypes.TEXT]


def _unique(table: Tabular, name: str) -> Any:
    parts = [part.unique().drop_null() for part in Column(table, name)]
    return pa.concat_arrays(parts).unique()


def _without(texts: Any, others: Any) -> Any:
    return texts.filter(pc.invert(pc.is_in(texts, value_set=others)))


def models_of(project: Project, name: str) -> list[str]:
    """Return the models that were trained on any version of dataset ``name``."""
    with project.read() as s:
        taught = {v.id for v in datasets.outline(s) if v.dataset.name == name}
        return sorted({v.model for v in registry.outline(s) if v.dataset_version_id in taught})


def trained_on(project: Project, references: set[str]) -> list[str]:
    """Return the model versions, as ``name vN``, that were trained on these dataset versions."""
    with project.read() as s:
        by_id = {v.id: v.reference for v in datasets.outline(s)}
        return [
            f"{one.model} v{one.number}"
            for one in registry.outline(s)
            if by_id[one.dataset_version_id] in references
        ]
