"""The contract of a feature view: entity, time, at least one feature, in canonical types."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mlkit.errors import InvalidInputError, asks_to_end, told
from mlkit.provenance import ViewUse
from mlkit.steps.features.view import KEY_TYPES, FeatureView, OnDemand
from mlkit.steps.quality import table_warnings
from mlkit.steps.tables import casts, dtypes

_SHOWN = 5


def frame(table: pa.Table) -> Any:
    """Return rows as the pandas frame for a user's function.

    Integers and booleans are the nullable ones (``Int64``, ``boolean``).
    """
    return dtypes.to_pandas(table, dtypes.INTEGER, dtypes.BOOLEAN)


def table_of(made: object, owner: FeatureView | OnDemand) -> pa.Table:
    """Convert the frame of a user's function to the five types; raises InvalidInputError."""
    import pandas as pd

    if not isinstance(made, pd.DataFrame):
        raise InvalidInputError(
            f"{owner} returned {type(made).__name__}, not a DataFrame; return the frame with "
            "its columns"
        )
    names = [str(name) for name in made.columns]
    _refuse_twice(names, owner)
    columns = [_column(made[name], str(name), owner) for name in made.columns]
    return pa.table(dict(zip(names, columns, strict=True)))


def lines(table: pa.Table) -> Iterable[tuple[Any, ...]]:
    """Yield rows for a SQL view: a time is text that SQLite's date functions accept."""
    columns = []
    for column in table.columns:
        if column.type == dtypes.DATETIME:
            naive = column.cast(pa.timestamp("us"))
            column = pc.strftime(naive, format="%Y-%m-%d %H:%M:%S")
        columns.append(column.to_pylist())
    return zip(*columns, strict=True)


def gathered(names: Sequence[str], rows: Sequence[Sequence[Any]], owner: FeatureView) -> pa.Table:
    """Return a query result as a table; raises InvalidInputError for values of mixed types."""
    _refuse_twice(list(names), owner)
    columns = {}
    for place, name in enumerate(names):
        values = [_in_utc(row[place]) for row in rows]
        try:
            columns[name] = pa.chunked_array([pa.array(values)])
        except (pa.ArrowException, TypeError):
            kinds = sorted({type(value).__name__ for value in values if value is not None})
            raise InvalidInputError(
                f"{owner}, column '{name}': values of one type are needed, not {', '.join(kinds)}"
            ) from None
    return pa.table(columns)


def _in_utc(value: Any) -> Any:
    """Convert a time with a zone to UTC: Arrow takes the wall clock of any other zone for UTC.

    Seen with pyarrow 26 as soon as pandera is imported: midnight in Tokyo became midnight in UTC.
    """
    aware = isinstance(value, datetime) and value.tzinfo is not None
    return value.astimezone(UTC) if aware else value


def canonical(table: pa.Table, owner: FeatureView | OnDemand) -> pa.Table:
    """Return rows in the five types; NaN and infinities are missing values."""
    _refuse_twice(table.column_names, owner)
    columns = {}
    for name in table.column_names:
        try:
            columns[name] = casts.canonical(table.column(name), name)
        except (InvalidInputError, pa.ArrowException) as error:
            raise InvalidInputError(f"{owner}: {error}") from error
    return table_warnings.without_infinities(pa.table(columns))[0]


def checked(table: pa.Table, view: FeatureView) -> pa.Table:
    """Return the rows of a view as entity, time and features; raises InvalidInputError.

    Entity and time must not be missing. If an entity has several rows with one time, the last one
    counts in training and in serving; all are kept here.
    """
    table = canonical(table, view)
    for word in ("entity", "time"):
        name = getattr(view, word)
        if name not in table.column_names:
            raise InvalidInputError(
                f"{view} has no column '{name}' for its {word}; its columns: "
                + ", ".join(table.column_names[:20])
            )
    features = [name for name in table.column_names if name not in (view.entity, view.time)]
    if not features:
        raise InvalidInputError(f"{view} has no column besides '{view.entity}' and '{view.time}'")
    _refuse_defaults(view, features)
    table = table.set_column(
        table.column_names.index(view.time), view.time, _times(table.column(view.time), view)
    )
    for name in (view.entity, view.time):
        _refuse_missing(table.column(name), name, view)
    key_type(table.column(view.entity).type, view, rows=table.num_rows)
    return table.select([view.entity, view.time, *features])


def key_type(kind: pa.DataType, view: FeatureView, *, rows: int = 1) -> str:
    """Return ``integer`` or ``text``; raises InvalidInputError for an entity of any other type."""
    name = dtypes.NAMES.get(kind, str(kind))
    if name in KEY_TYPES:
        return name
    if rows == 0:
        return "text"
    raise InvalidInputError(
        f"{view}: the entity '{view.entity}' is of type {name}; an entity is an integer or text"
    )


def use(view: FeatureView, table: pa.Table, *, dataset: str | None, digest: str) -> ViewUse:
    """Return the metadata of a view with the rows ``table``, for joined datasets and readers."""
    entity, _, *columns = table.column_names
    kinds = [table.schema.field(name).type for name in columns]
    on_missing: Any = view.on_missing
    if isinstance(view.on_missing, Mapping):
        on_missing = {
            name: _plain(default(value, table.schema.field(name).type, name, view.name))
            for name, value in view.defaults.items()
        }
    return ViewUse(
        name=view.name,
        version=view.version,
        dataset=dataset,
        columns=tuple(columns),
        types=tuple(dtypes.NAMES[kind] for kind in kinds),
        entity=entity,
        key="integer" if table.schema.field(entity).type == dtypes.INTEGER else "text",
        ttl=view.ttl,
        on_missing=on_missing,
        digest=digest,
    )


def default(value: object, kind: pa.DataType, name: str, view: str) -> pa.Scalar:
    """Return the default of a column in its type; raises InvalidInputError."""
    try:
        if value is None:
            return pa.scalar(None, kind)
        if kind == dtypes.DATETIME and isinstance(value, str):
            return casts.cast(pa.chunked_array([[value]]), kind).column[0]
        if isinstance(value, bool) != (kind == dtypes.BOOLEAN):
            raise pa.ArrowInvalid("a boolean is no number")
        return pa.scalar(value, kind)
    except (pa.ArrowException, TypeError) as error:
        raise InvalidInputError(
            f"feature view '{view}': on_missing of '{name}' is {value!r}, which is no "
            f"{dtypes.NAMES[kind]}"
        ) from error


def _plain(value: pa.Scalar) -> Any:
    found = value.as_py()
    return found.isoformat() if hasattr(found, "isoformat") else found


def added(made: object, given: pa.Table, owner: OnDemand) -> pa.Table:
    """Return the columns that an on-demand transformation adds; raises InvalidInputError."""
    table = canonical(table_of(made, owner), owner)
    if table.num_rows != given.num_rows:
        raise InvalidInputError(
            f"{owner} returned {table.num_rows:,} rows for {given.num_rows:,}; it must return as "
            "many, in the same order"
        )
    if not table.column_names:
        raise InvalidInputError(f"{owner} returned no column")
    return table


def guarded(owner: FeatureView | OnDemand, file: str, call: Callable[[], Any]) -> Any:
    """Call a user's function; an exception becomes an InvalidInputError with the line."""
    try:
        return call()
    except InvalidInputError:
        raise
    except BaseException as error:  # a user's function may raise anything
        if asks_to_end(error):
            raise
        raise InvalidInputError(f"{file}{_line(error, file)}, {owner}: {told(error)}") from error


def _line(error: BaseException, file: str) -> str:
    lines = []
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.endswith(file):
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f", line {lines[-1]}" if lines else ""


def _column(series: Any, name: str, owner: FeatureView | OnDemand) -> pa.Array:
    try:
        return pa.chunked_array([pa.array(series, from_pandas=True)])
    except (pa.ArrowException, TypeError):
        kinds = sorted({type(value).__name__ for value in series.dropna()})[:_SHOWN]
        raise InvalidInputError(
            f"{owner}, column '{name}': values of one type are needed, not {', '.join(kinds)}"
        ) from None


def _refuse_twice(names: list[str], owner: FeatureView | OnDemand) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInputError(f"{owner} has several columns named '{twice[0]}'")


def _refuse_defaults(view: FeatureView, features: list[str]) -> None:
    for name in view.defaults:
        if name not in features:
            raise InvalidInputError(
                f"{view}: on_missing names '{name}', which is none of its features: "
                + ", ".join(features[:20])
            )


def _refuse_missing(column: Any, name: str, view: FeatureView) -> None:
    if column.null_count:
        first = pc.index(pc.is_null(column), value=True).as_py()
        raise InvalidInputError(
            f"{view}, column '{name}': {column.null_count:,} of {len(column):,} rows have no "
            f"value, the first is row {first + 1}; leave such rows out"
        )


def _times(column: Any, view: FeatureView) -> Any:
    if column.null_count == len(column):
        return pa.chunked_array([pa.nulls(len(column), dtypes.DATETIME)])
    if column.type not in (dtypes.TEXT, dtypes.DATETIME):
        raise InvalidInputError(
            f"{view}, column '{view.time}': {dtypes.NAMES[column.type]} is no point in time"
        )
    done = casts.cast(column, dtypes.DATETIME)
    if done.unfit:
        row, value = done.unfit[0]
        raise InvalidInputError(
            f"{view}, column '{view.time}': row {row + 1} has {value!r}, which is no point in time"
        )
    return done.column
