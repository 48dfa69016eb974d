"""The view ``log_<model>``: the prediction log of one model with its features as named columns."""

from collections.abc import Mapping
from itertools import chain, count

from sqlalchemy import text
from sqlalchemy.orm import Session

from mlkit.store.log_columns import COLUMNS, Column
from mlkit.store.registry import Model

MAX_COLUMNS = 1500  # SQLite allows 2000 columns in a view, PostgreSQL 1664

_TYPES = {
    "number": "double precision",
    "integer": "bigint",
    "boolean": "boolean",
    "datetime": "timestamp with time zone",
}
_LONGEST_BYTES = 63  # bytes of an identifier in PostgreSQL
_ENDING_BYTES = 10
_SHOWN = tuple(column for column in COLUMNS if column.json != "list")
_TABLES = {"prediction": "p", "model_version": "v", "actual": "a"}


def name(model: str) -> str:
    """Return the name of the view of a model.

    >>> name("churn")
    'log_churn'
    """
    return f"log_{model}"


def refresh(s: Session, model: Model) -> None:
    """Recreate the view of ``model`` from the input schemas of all its versions.

    A column that some versions lack is null in their rows; past 1500 the columns are left out.
    """
    s.flush()
    s.refresh(model, ["versions"])
    sqlite = s.get_bind().dialect.name == "sqlite"
    view = _quoted(name(model.name))
    columns = [_own(column, sqlite=sqlite) for column in _SHOWN]
    taken = {column.name for column in _SHOWN}
    for column, (kind, places) in list(_places(model).items())[:MAX_COLUMNS]:
        alias = _alias(column if sqlite else _cut(column), taken)
        columns.append(f"{_feature(kind, places, sqlite=sqlite)} AS {_quoted(alias)}")
    query = (
        f"CREATE VIEW {view} AS SELECT {', '.join(columns)} FROM prediction p "  # noqa: S608  # quoted names and integers only
        "JOIN model_version v ON v.id = p.model_version_id "
        f"LEFT JOIN actual a ON a.prediction_id = p.id WHERE p.model_id = {model.id:d}"
    )
    s.execute(text(f"DROP VIEW IF EXISTS {view}"))
    s.execute(text(query.replace(":", "\\:")))


def _alias(column: str, taken: set[str]) -> str:
    """Return a free name for a column in the view, and reserve it.

    SQL names are case-insensitive: ``Age`` and ``age`` would both be the first column.
    """
    endings = chain(("", "_feature"), (f"_{number}" for number in count(2)))
    alias = next(name for end in endings if (name := column + end).lower() not in taken)
    taken.add(alias.lower())
    return alias


def _cut(column: str) -> str:
    """Return a name that PostgreSQL does not truncate, even with a suffix."""
    raw = column.encode()
    if len(raw) <= _LONGEST_BYTES - _ENDING_BYTES:
        return column
    return raw[: _LONGEST_BYTES - _ENDING_BYTES].decode(errors="ignore")


def _places(model: Model) -> dict[str, tuple[str, dict[int, int]]]:
    """Return kind and position by version id of each column, the newest version's first."""
    found: dict[str, tuple[str, dict[int, int]]] = {}
    for version in reversed(model.versions):
        for position, column in enumerate(version.input_schema["columns"]):
            kind, places = found.setdefault(column["name"], (column["kind"], {}))
            places[version.id] = position
            if kind != column["kind"]:
                found[column["name"]] = ("category", places)
    return found


def _feature(kind: str, places: Mapping[int, int], *, sqlite: bool) -> str:
    versions: dict[int, list[int]] = {}
    for version_id, position in places.items():
        versions.setdefault(position, []).append(version_id)
    cases = "".join(
        f" WHEN p.model_version_id IN ({', '.join(map(str, ids))}) THEN "
        + (f"'$[{position:d}]'" if sqlite else f"{position:d}")
        for position, ids in versions.items()
    )
    if sqlite:
        return f"json_extract(p.features, CASE{cases} END)"
    value = f"(CAST(p.features AS json) ->> (CASE{cases} END))"
    return f"CAST({value} AS {_TYPES[kind]})" if kind in _TYPES else value


def _own(column: Column, *, sqlite: bool) -> str:
    """Return the SQL of a log column in the view."""
    place = f"{_TABLES[column.stored.class_.__tablename__]}.{column.stored.key}"
    if column.json:
        return f"{_scalar(place, sqlite=sqlite)} AS {column.name}"
    return place if column.stored.key == column.name else f"{place} AS {column.name}"


def _scalar(column: str, *, sqlite: bool) -> str:
    if sqlite:
        return f"json_extract({column}, '$')"
    return f"(CAST({column} AS json) #>> '{{}}')"


def _quoted(identifier: str) -> str:
    """Quote ``identifier`` for SQL, whatever characters it has."""
    return '"' + identifier.replace("\0", "").replace('"', '""') + '"'
