"""Training-serving skew: logged feature values against the point-in-time join of training.

A row is *equal* if its logged values are those of the join at its serving time, *lagging* if they
are those of the join at a time up to ``lag`` before (the newest event had not been materialised
yet), else *skewed*.
"""

from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.steps.features import point_in_time
from mlkit.steps.features.point_in_time import ViewIndex
from mlkit.steps.tables import casts

_SHOWN = 5


class Example(msgspec.Struct, frozen=True):
    """One skewed row: the served values, and those of training."""

    id: str
    entity: Any
    served: dict[str, Any]
    expected: dict[str, Any]


class Skew(msgspec.Struct, frozen=True, kw_only=True):
    """The comparison of one view's logged values with the training path."""

    view: str
    version: int
    rows: int
    equal: int
    lagging: int
    skewed: int
    columns: dict[str, int]
    examples: tuple[Example, ...]


class Served(NamedTuple):
    """Logged rows: ids, keys and times in the types of the view, and its feature columns."""

    ids: list[str]
    keys: Any
    moments: np.ndarray
    columns: pa.Table


def compare(served: Served, view: ViewIndex, lag_us: int) -> Skew:
    """Return how many rows are equal, lagging or skewed; ``columns`` counts skewed cells."""
    names = served.columns.column_names
    moments = np.ma.MaskedArray(served.moments, mask=np.zeros(len(served.moments), bool))
    expected = _values(view, names, served, point_in_time.find(view, served.keys, moments))
    different = {name: _different(served.columns[name], expected[name]) for name in names}
    odd = np.flatnonzero(np.any(list(different.values()), axis=0))
    lagging = [row for row in odd.tolist() if _lags(row, served, view, lag_us)]
    skewed = sorted(set(odd.tolist()) - set(lagging))
    return Skew(
        view=view.use.name,
        version=view.use.version,
        rows=len(served.ids),
        equal=len(served.ids) - len(odd),
        lagging=len(lagging),
        skewed=len(skewed),
        columns={name: int(different[name][skewed].sum()) for name in names},
        examples=tuple(_example(row, served, expected) for row in skewed[:_SHOWN]),
    )


class Subject(NamedTuple):
    """The subject of a comparison: a transformation, and the ids and entities of logged rows."""

    name: str
    version: int
    ids: Any
    entities: Any


def of_rows(subject: Subject, served: pa.Table, computed: pa.Table) -> Skew:
    """Compare served values with those recomputed from the same inputs; none is lagging.

    A function may round differently in another batch: numbers are equal within a relative 1e-9.
    """
    names = served.column_names
    columns = [casts.cast(computed[name], served[name].type).column for name in names]
    expected = pa.table(columns, names=names)
    unlike = {name: _unlike(served[name], expected[name]) for name in names}
    odd = np.flatnonzero(np.any(list(unlike.values()), axis=0)).tolist()
    return Skew(
        view=subject.name,
        version=subject.version,
        rows=served.num_rows,
        equal=served.num_rows - len(odd),
        lagging=0,
        skewed=len(odd),
        columns={name: int(unlike[name].sum()) for name in names},
        examples=tuple(
            Example(
                id=subject.ids[row].as_py(),
                entity=subject.entities[row].as_py(),
                served=served.slice(row, 1).to_pylist()[0],
                expected=expected.slice(row, 1).to_pylist()[0],
            )
            for row in odd[:_SHOWN]
        ),
    )


def _unlike(served: Any, computed: Any) -> np.ndarray:
    different = _different(served, computed)
    if not pa.types.is_floating(served.type):
        return different
    one, other = (np.asarray(each.cast(pa.float64()), dtype=float) for each in (served, computed))
    close: np.ndarray = np.isclose(one, other, rtol=1e-9, atol=1e-12)
    return np.asarray(different & ~close)


def _values(view: ViewIndex, names: list[str], served: Served, rows: np.ndarray) -> pa.Table:
    """Return the features in these rows of the view (-1: none), in the types of the log."""
    absent = rows < 0
    taken = dict(point_in_time.features_at(view, rows))
    columns = {}
    for name in names:
        wanted = served.columns.schema.field(name).type
        column = taken[name]
        columns[name] = casts.cast(column, wanted).column if column.type != wanted else column
    return pa.table(columns) if columns else pa.table({"none": pa.array(absent)})


def _different(logged: Any, expected: Any) -> np.ndarray:
    both_null = pc.and_(pc.is_null(logged), pc.is_null(expected))
    same = pc.fill_null(pc.equal(logged, expected), fill_value=False)
    return ~np.asarray(pc.or_(both_null, same))


def _lags(row: int, served: Served, view: ViewIndex, lag_us: int) -> bool:
    """Tell whether a row has the values of a time up to ``lag_us`` before it was served.

    Values change only at events, so it tries the times just before the events in between. The age
    of a value is judged at the serving time, as the server does.
    """
    moment = int(served.moments[row])
    key = served.keys[row : row + 1]
    earlier = moment
    while earlier >= moment - lag_us:
        found = point_in_time.find_at(view, key, earlier, served_us=moment)
        logged = served.columns.slice(row, 1)
        values = _values(view, logged.column_names, served, np.array([found.usable]))
        if all(not _different(logged[n], values[n])[0] for n in logged.column_names):
            return True
        if found.row < 0:
            return False
        earlier = int(view.event_us[found.row]) - 1
    return False


def _example(row: int, served: Served, expected: pa.Table) -> Example:
    return Example(
        id=served.ids[row],
        entity=served.keys[row].as_py(),
        served=served.columns.slice(row, 1).to_pylist()[0],
        expected=expected.slice(row, 1).to_pylist()[0],
    )
