"""JSON columns for all databases: NaN and infinity, which JSON lacks, are stored as null."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import msgspec
from sqlalchemy import JSON, Dialect
from sqlalchemy.types import TypeDecorator

from mlkit.errors import DamagedError


def dump(value: object) -> str:
    """Return ``value`` as JSON.

    >>> dump({"mae": float("nan"), "rows": 3})
    '{"mae": null, "rows": 3}'
    """
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(msgspec.json.decode(msgspec.json.encode(value)))


def finite(value: object) -> object:
    """Return ``value`` as it is read after ``dump``: NaN and infinity are None.

    >>> finite({"mae": float("inf"), "rows": 3})
    {'mae': None, 'rows': 3}
    """
    return json.loads(dump(value))


def load(text: str) -> object:
    """Return the value of a column; raises DamagedError for invalid JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # RecursionError: too deeply nested
        raise DamagedError(
            f"a value in the database is not as it was recorded: {text[:40]!r} is no JSON; "
            "restore a backup (see: mlkit backup restore)"
        ) from error


def refuse_edited(row: Any, kinds: Mapping[str, Any]) -> None:
    """Raise DamagedError for a row with a value of another type than mlkit writes.

    ``kinds`` are the types by column name; columns that were not loaded are not checked.
    """
    for name in kinds.keys() & vars(row).keys():
        value = vars(row)[name]
        try:
            msgspec.convert(value, kinds[name])
        except (msgspec.ValidationError, OverflowError) as error:
            raise DamagedError(
                f"the row {row.id} of {row.__tablename__} is not as it was recorded: {name} is "
                f"{str(value)[:40]!r}; restore a backup (see: mlkit backup restore)"
            ) from error


class JsonObject(TypeDecorator[dict[str, Any]]):
    """A JSON object; any other value in the column raises DamagedError when it is read.

    ``kind`` is the TypedDict of the members that mlkit reads; a member may be missing.
    """

    impl = JSON
    cache_ok = True

    def __init__(self, kind: Any = dict[str, Any]) -> None:
        super().__init__()
        self.kind = kind

    def process_result_value(
        self,
        value: object,
        dialect: Dialect,  # noqa: ARG002  # SQLAlchemy's signature
    ) -> dict[str, Any]:
        """Return the object."""
        try:
            msgspec.convert(value, self.kind)
        except (msgspec.ValidationError, OverflowError) as error:
            raise DamagedError(
                f"a value in the database is not as it was recorded: {str(value)[:40]!r}: {error}; "
                "restore a backup (see: mlkit backup restore)"
            ) from error
        return cast("dict[str, Any]", value)


class Remarks(TypeDecorator[dict[str, Any]]):
    """A JSON object that is only shown; an invalid value is read as ``{"problem": ...}``."""

    impl = JSON
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Return a function that reads a value and never fails."""
        read = super().result_processor(dialect, coltype)

        def process(value: Any) -> dict[str, Any]:
            try:
                found = read(value) if read else value
            except DamagedError as error:
                return {"problem": str(error)}
            if isinstance(found, dict):
                return found
            return {"problem": f"not as it was recorded: {str(found)[:40]!r}"}

        return process


OPTIONS: Final[dict[str, Any]] = {"json_serializer": dump, "json_deserializer": load}  # of engines
