"""What every kind of source is asked for, and what it answers."""

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
    """Rows, where they are from, and what to tell of how they were read.

    ``typed`` rows came with types, from a file such as Parquet or by a query.
    """

    table: "Tabular"
    origin: Origin
    warnings: tuple[str, ...] = ()
    typed: Literal["file", "query"] | None = None


def _nothing() -> None:
    """Have nothing to note."""


@dataclass(frozen=True)
class Ready:
    """A source that can be fetched.

    ``sha256`` is of its bytes, None if only its rows can tell whether it changed; ``stated`` is
    what was said of how to read them. ``settled`` is called when the rows are a version.
    """

    label: str
    fetch: Callable[[Reading], Fetched]
    sha256: str | None = None
    stated: Stated = field(default_factory=Stated)
    settled: Callable[[], None] = _nothing
