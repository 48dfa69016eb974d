"""How rows are to be read, as whoever wants them says; light, nothing is read here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mlkit.progress import BytesRead
from mlkit.provenance import Stated

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Reading:
    """Where bulky files go, what is said of a CSV file, the types that rules demand, who hears."""

    scratch: Path
    stated: Stated | None = None
    types: "Mapping[str, pa.DataType]" = field(default_factory=dict)
    progress: BytesRead | None = None

    def counter(self, what: str, total: int) -> Callable[[int], None]:
        """Return what hears how many of ``total`` bytes are behind."""

        def count(done: int) -> None:
            if self.progress is not None:
                self.progress(what, min(done, total), total)

        count(0)
        return count
