"""What every kind of source is asked for, and what it answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlkit.flows.data.versioning import Origin

if TYPE_CHECKING:
    import pyarrow as pa

    from mlkit.steps.tables.tabular import Tabular

BytesRead = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Fetching:
    """How to fetch: where bulky files go, the types that rules demand, who hears of the progress.

    ``progress`` gets what is done, and how many bytes of how many are behind (0 of 0: unknown).
    """

    scratch: Path
    types: "Mapping[str, pa.DataType]" = field(default_factory=dict)
    progress: BytesRead | None = None


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
    fetch: Callable[[Fetching], Fetched]
    sha256: str | None = None
    stated: dict[str, Any] = field(default_factory=dict)
    settled: Callable[[], None] = _nothing
