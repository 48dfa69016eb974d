"""Options of reading, separate from the readers to be light."""

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
    """The scratch folder, stated CSV options, types required by rules, progress callback."""

    scratch: Path
    stated: Stated | None = None
    types: "Mapping[str, pa.DataType]" = field(default_factory=dict)
    progress: BytesRead | None = None

    def counter(self, what: str, total: int) -> Callable[[int], None]:
        """Return a callback for the number of bytes done of ``total``."""

        def count(done: int) -> None:
            if self.progress is not None:
                self.progress(what, min(done, total), total)

        count(0)
        return count
