"""How the rows of a dataset version were made: one struct for each kind of source.

The column ``dataset_version.transformation`` holds them as JSON. ``read`` and ``written`` are the
only ways in and out; the kinds that there are, and the keys of each, stand here and nowhere else.
"""

from typing import Any, Literal, get_args

import msgspec
from msgspec import UNSET, UnsetType


class Quarantine(msgspec.Struct, frozen=True):
    """Rows that broke a rule and were left out, of how many, and the file that has them."""

    rows: int
    of: int
    file: str | UnsetType = UNSET


class Stated(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What somebody says of how a CSV file is written, in their words; the rest is found out.

    ``missing`` are marks that stand for no value even among texts. Without a ``header`` the
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
        """Return this, and where it says nothing what ``habits`` say.

        A header that somebody speaks of goes with the names, one without the other is no habit.
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
    """A Parquet file, or a folder of them: it says itself how it is read."""


class ViewUse(msgspec.Struct, frozen=True, kw_only=True):
    """One view as a joined dataset uses it: what serving has to know.

    ``dataset`` is the version (``name@number``) that the values came from, None for a query on a
    database; ``digest`` changes with the code. ``on_missing`` is what stands for the values of a
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
    """One on-demand transformation as a joined dataset uses it."""

    name: str
    version: int
    inputs: tuple[str, ...]
    columns: tuple[str, ...]
    digest: str


class _Made(msgspec.Struct, frozen=True, kw_only=True):
    """What all kinds have.

    ``format`` is the version of the keys: 1, the one of all releases so far, is not written.
    """

    format: Literal[1] | UnsetType = UNSET
    quarantine: Quarantine | UnsetType = UNSET


class Unknown(_Made, frozen=True, kw_only=True):
    """A kind that this release does not know; early ones recorded none."""

    kind: str | UnsetType = UNSET


class Kind(_Made, frozen=True, kw_only=True, tag_field="kind"):
    """A kind that this release knows."""

    @property
    def kind(self) -> str:
        """The word for it in the database."""
        return tag(type(self))


class File(Kind, frozen=True, kw_only=True, tag="file"):
    """A file: what was said of how it is written, and how it was read."""

    stated: Stated = Stated()
    read_as: Csv | Parquet | UnsetType = UNSET


class Query(Kind, frozen=True, kw_only=True, tag="query"):
    """A query on the database ``url``, which is without user and password."""

    url: str
    query: str


class Join(Kind, frozen=True, kw_only=True, tag="join"):
    """The rows of version ``base`` with what views and functions say of them.

    ``databases`` are those that views asked, by view.
    """

    base: str
    views: tuple[ViewUse, ...] = ()
    on_demand: tuple[OnDemandUse, ...] = ()
    databases: dict[str, str] | UnsetType = UNSET


class Window(Kind, frozen=True, kw_only=True, tag="window"):
    """The rows of version ``base`` since a time; ``left_out`` counts the others by cause."""

    base: str
    since: str | None = None
    left_out: dict[str, int] = {}


class Log(Kind, frozen=True, kw_only=True, tag="log"):
    """Logged rows of a model with actuals, behind those of version ``base`` if there is one.

    ``picked`` is the digest of the file that names the predictions; early releases kept none.
    ``versions`` of the model answered them, the last one at ``until`` unless the whole window
    counts. ``types`` are those of the dataset's columns.
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
    """Return what a version recorded; raises msgspec.ValidationError if no release wrote that.

    >>> read({"kind": "file"}).kind
    'file'
    >>> read({})
    Unknown(format=UNSET, quarantine=UNSET, kind=UNSET)
    """
    told = recorded.get("kind") if isinstance(recorded, dict) else None
    kind: type[Provenance] = _KINDS.get(str(told), Unknown)
    return msgspec.convert(recorded, kind)


def written(made: Provenance) -> dict[str, Any]:
    """Return what the database keeps.

    >>> written(Query(url="sqlite:///shop.db", query="SELECT 1"))
    {'kind': 'query', 'url': 'sqlite:///shop.db', 'query': 'SELECT 1'}
    """
    kept: dict[str, Any] = msgspec.to_builtins(made)
    return kept


def tag(kind: type[Kind]) -> str:
    """Return the word for a kind in the database."""
    return str(kind.__struct_config__.tag)


_KINDS = {tag(each): each for each in get_args(Provenance) if each is not Unknown}
