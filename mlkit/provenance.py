"""Provenance of a dataset version: one struct per kind of source.

The column ``dataset_version.transformation`` holds it as JSON, which only ``read`` and ``written``
convert. The kinds, and the keys of each, are defined only here.
"""

from typing import Any, Literal, get_args

import msgspec
from msgspec import UNSET, UnsetType


class Quarantine(msgspec.Struct, frozen=True):
    """The number of rows left out because they broke a rule, of how many, and their file."""

    rows: int
    of: int
    file: str | UnsetType = UNSET


class Stated(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """CSV options that the user stated, as written; all others are detected.

    ``missing`` are the markers of a missing value, in text columns too. Without a ``header`` the
    columns are called ``names``.
    """

    delimiter: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    missing: tuple[str, ...] | None = None
    header: bool | None = None
    names: tuple[str, ...] | str | None = None

    def over(self, habits: "Stated") -> "Stated":
        """Return these options, each one that is not stated taken from ``habits``.

        ``header`` and ``names`` belong together: if either is stated, ``habits`` gives neither.
        """
        own = msgspec.structs.asdict(self)
        if self.header is not None or self.names is not None:
            habits = msgspec.structs.replace(habits, header=None, names=None)
        said = {name: value for name, value in own.items() if value is not None}
        return msgspec.structs.replace(habits, **said)


class Csv(msgspec.Struct, frozen=True, kw_only=True, tag_field="format", tag="csv"):
    """How a CSV file was read; early releases recorded neither ``missing`` nor ``header``."""

    delimiter: str
    encoding: str
    decimal: str
    thousands: str | None
    compression: str | None
    missing: tuple[str, ...] | UnsetType = UNSET
    header: bool | UnsetType = UNSET


class Parquet(msgspec.Struct, frozen=True, tag_field="format", tag="parquet"):
    """A Parquet file or a folder of them; the format needs no options."""


class ViewUse(msgspec.Struct, frozen=True, kw_only=True):
    """One feature view of a joined dataset, with what serving needs to know about it.

    ``dataset`` is the version (``name@number``) that the values came from, None for a query on a
    database; ``digest`` changes with the code. ``on_missing`` says what replaces the values of a
    row that has none within ``ttl``: ``null``, ``refuse`` or values by column.
    """

    name: str
    version: int
    dataset: str | None
    columns: tuple[str, ...]
    types: tuple[str, ...]
    entity: str
    key: Literal["integer", "text"]
    ttl: str | None = None
    on_missing: Literal["null", "refuse"] | dict[str, Any] = "null"
    digest: str = ""


class OnDemandUse(msgspec.Struct, frozen=True, kw_only=True):
    """One on-demand transformation of a joined dataset."""

    name: str
    version: int
    inputs: tuple[str, ...]
    columns: tuple[str, ...]
    digest: str


class _Made(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that all kinds have.

    ``format`` is the version of the keys. It is 1 in all releases so far, and 1 is not written.
    """

    format: Literal[1] | UnsetType = UNSET
    quarantine: Quarantine | UnsetType = UNSET


class Unknown(_Made, frozen=True, kw_only=True):
    """A kind that this release does not know, or none: early releases recorded no kind."""

    kind: str | UnsetType = UNSET


class Kind(_Made, frozen=True, kw_only=True, tag_field="kind"):
    """A kind known to this release."""

    @property
    def kind(self) -> str:
        """The name of the kind in the database."""
        return tag(type(self))


class File(Kind, frozen=True, kw_only=True, tag="file"):
    """A file, the options that the user stated, and how it was read."""

    stated: Stated = Stated()
    read_as: Csv | Parquet | UnsetType = UNSET


class Query(Kind, frozen=True, kw_only=True, tag="query"):
    """A query on the database ``url``, which is stored without user and password."""

    url: str
    query: str


class Join(Kind, frozen=True, kw_only=True, tag="join"):
    """The rows of version ``base`` joined with the features of views and on-demand functions.

    ``databases`` are those that views queried, by view.
    """

    base: str
    views: tuple[ViewUse, ...] = ()
    on_demand: tuple[OnDemandUse, ...] = ()
    databases: dict[str, str] | UnsetType = UNSET


class Window(Kind, frozen=True, kw_only=True, tag="window"):
    """The rows of version ``base`` since a time; ``left_out`` counts the rows left out by cause."""

    base: str
    since: str | None = None
    left_out: dict[str, int] = {}


class Log(Kind, frozen=True, kw_only=True, tag="log"):
    """Logged rows of a model with actuals, appended to those of version ``base`` if there is one.

    ``picked`` is the digest of the file that names the predictions; early releases kept none.
    ``versions`` are the model versions that made them. Rows served after ``until`` were left out as
    too young; None if none were. ``types`` are those of the dataset's columns.
    """

    model: str
    versions: tuple[int, ...] = ()
    start: str
    end: str
    until: str | None = None
    picked: str | UnsetType = UNSET
    types: dict[str, str] = {}
    left_out: dict[str, int] = {}
    base: str | UnsetType = UNSET
    since: str | UnsetType | None = UNSET


Provenance = File | Query | Join | Window | Log | Unknown


def read(recorded: object) -> Provenance:
    """Decode what a version recorded; raises msgspec.ValidationError if no release wrote it.

    >>> read({"kind": "file"}).kind
    'file'
    >>> read({})
    Unknown(format=UNSET, quarantine=UNSET, kind=UNSET)
    """
    told = recorded.get("kind") if isinstance(recorded, dict) else None
    kind: type[Provenance] = _KINDS.get(str(told), Unknown)
    return msgspec.convert(recorded, kind)


def written(made: Provenance) -> dict[str, Any]:
    """Encode ``made`` as the database stores it.

    >>> written(Query(url="sqlite:///shop.db", query="SELECT 1"))
    {'kind': 'query', 'url': 'sqlite:///shop.db', 'query': 'SELECT 1'}
    """
    kept: dict[str, Any] = msgspec.to_builtins(made)
    return kept


def tag(kind: type[Kind]) -> str:
    """Return the name of a kind in the database."""
    return str(kind.__struct_config__.tag)


_KINDS = {tag(each): each for each in get_args(Provenance) if each is not Unknown}
