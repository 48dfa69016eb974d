"""What joined versions contain of a dataset: its rows, and the values of views over it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mlkit.flows.data import ingest
from mlkit.flows.data.subjects import Subjects
from mlkit.project import Session
from mlkit.provenance import OnDemandUse, ViewUse
from mlkit.store import datasets
from mlkit.store.datasets import Dataset, DatasetVersion

if TYPE_CHECKING:
    import pyarrow as pa


class Trace(NamedTuple):
    """The columns of a view in joined rows, its entity column, and the values for missing ones.

    ``missing`` is the default by column, None for a null.
    """

    entity: str
    missing: dict[str, Any]


def descendants(s: Session, name: str) -> list[str]:
    """Return the datasets joined from dataset ``name``, directly or through other joins.

    Each one comes after its base.
    """
    found = [name]
    versions = sorted(datasets.outline(s), key=lambda version: version.id)
    bases = [(v.dataset.name, _name(v.join.base)) for v in versions if v.join]
    for parent in found:  # grows during the loop
        of_it = (name for name, base in bases if base == parent)
        found += dict.fromkeys(each for each in of_it if each not in found)
    return found[1:]


def traces(s: Session, dataset: Dataset) -> list[tuple[DatasetVersion, list[Trace]]]:
    """Return the versions with values of a view over ``dataset``, and the columns of these values.

    A version also has those of its base, and of the version that logged rows were added to.
    """
    found: dict[str, list[Trace]] = {}
    versions = sorted(datasets.outline(s), key=lambda version: version.id)
    for version in versions:
        views, functions = (made.views, made.on_demand) if (made := version.join) else ((), ())
        above = [version.base] if version.base else version.parents
        inherited = [trace for reference in above for trace in found.get(reference, ())]
        own = [Trace(view.entity, _missing(view)) for view in views if _is_about(view, dataset)]
        here = [_with_derived(trace, functions) for trace in [*inherited, *own]]
        if here:
            found[version.reference] = here
    return [(each, found[each.reference]) for each in versions if each.reference in found]


def clear(table: "pa.Table", found: Sequence[Trace], erased: Subjects) -> "tuple[pa.Table, int]":
    """Replace the subjects' view values by missing ones; return rows and number of changes."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    changed = np.zeros(table.num_rows, bool)
    for trace in found:
        if trace.entity not in table.column_names:
            continue
        entities = table.column(trace.entity)
        who = [value for value in entities.unique().to_pylist() if erased.has(value)]
        theirs = pc.is_in(entities, value_set=pa.array(who, entities.type))
        for name in [name for name in trace.missing if name in table.column_names]:
            table, differs = _cleared(table, name, trace.missing[name], theirs)
            changed |= differs
    return table, int(changed.sum())


def _cleared(table: "pa.Table", name: str, missing: Any, theirs: Any) -> "tuple[pa.Table, Any]":
    """Return the rows with one column cleared for the subjects, and the mask of changed rows."""
    import numpy as np
    import pyarrow.compute as pc

    from mlkit.steps.features import output

    old = table.column(name)
    none = output.default(missing, old.type, name, "of an erased subject")
    new = pc.if_else(theirs, none, old)
    both_null = pc.and_(old.is_null(), new.is_null())
    same = pc.fill_null(pc.equal(old, new), both_null)
    place = table.column_names.index(name)
    return table.set_column(place, table.schema.field(name), new), ~np.asarray(same)


def _missing(view: ViewUse) -> dict[str, Any]:
    said = view.on_missing if isinstance(view.on_missing, dict) else {}
    return {name: said.get(name) for name in view.columns}


def _with_derived(trace: Trace, functions: Sequence[OnDemandUse]) -> Trace:
    """Return the trace with the columns that on-demand functions computed from its columns."""
    missing = dict(trace.missing)
    for function in functions:
        if missing.keys() & set(function.inputs):
            missing |= dict.fromkeys(function.columns)
    return Trace(trace.entity, missing)


def _is_about(view: ViewUse, dataset: Dataset) -> bool:
    of_it = view.dataset is not None and _name(view.dataset) == dataset.name
    return of_it and view.entity == dataset.entity_column


def _name(reference: str) -> str:
    return ingest.parse_reference(reference)[0]
