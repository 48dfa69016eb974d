"""The interface of a data source: what can be fetched, and the fetched rows."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from mlkit.flows.data.versioning import Origin
from mlkit.provenance import Stated
from mlkit.steps.reading.options import Reading

if TYPE_CHECKING:
    from mlkit.steps.tables.tabular import Tabular


@dataclass(frozen=True)
class Fetched:
    """Fetched rows, their provenance, and the warnings from reading them.

    ``typed`` rows came with types, from a file such as Parquet or by a query.
    """

    table: "Tabular"
    origin: Origin
    warnings: tuple[str, ...] = ()
    typed: Literal["file", "query"] | None = None


def _nothing() -> None:
    """Do nothing: this source needs no clean-up."""


@dataclass(frozen=True)
class Ready:
    """A source that can be fetched.

    ``sha256`` is of its bytes, None if only its rows can show whether it changed; ``stated`` are
    the user's options for reading them. ``settled`` is called once the rows are a version.
    """

    label: str
    fetch: Callable[[Reading], Fetched]
    sha256: str | None = None
    stated: Stated = field(default_factory=Stated)
    settled: Callable[[], None] = _nothing
