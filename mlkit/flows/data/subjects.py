"""Erased data subjects of a dataset, stored as keyed hashes, and the rows about them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mlkit.project import Project
from mlkit.store import datasets, erasures
from mlkit.store.disk import blobs

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from mlkit.steps.tables.tabular import Tabular

_REMEMBERED = 100_000  # entities, about 20 MB


class Subjects:
    """The erased subjects of one dataset; each entity is hashed once.

    ``met`` are the hashes of erased subjects that were found.
    """

    def __init__(self, project: Project, dataset: str, hashes: Iterable[str]) -> None:
        self._project, self._dataset = project, dataset
        self._hashes = frozenset(hashes)
        self._known: dict[Any, bool] = {}
        self.met: set[str] = set()

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._hashes)

    def has(self, entity: object) -> bool:
        """Tell whether ``entity`` is one of them."""
        if not self or entity is None:
            return False
        if entity not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            name = hashed(self._project.key, self._dataset, entity)
            self._known[entity] = name in self._hashes
            if name in self._hashes:
                self.met.add(name)
        return self._known[entity]

    def without(self, table: "Tabular", column: str | None) -> "Tabular":
        """Return the rows of ``table`` that are about no erased subject, by entity ``column``."""
        if not self or column is None or column not in table.column_names:
            return table
        import numpy as np  # slow to import, and most projects have erased nobody

        from mlkit.steps.tables.kept_rows import KeptRows
        from mlkit.steps.tables.tabular import Column

        theirs = [self._mask(part) for part in Column(table, column)]
        if not any(mask.any() for mask in theirs):
            return table
        return KeptRows(table, ~np.concatenate(theirs))

    def _mask(self, entities: "pa.ChunkedArray") -> "np.ndarray":
        """Return the mask of rows about an erased subject, of shape (rows,)."""
        import numpy as np  # already imported by a caller that has rows
        import pyarrow as pa
        import pyarrow.compute as pc

        erased = [value for value in entities.unique().to_pylist() if self.has(value)]
        return np.asarray(pc.is_in(entities, value_set=pa.array(erased, entities.type)))


def of(project: Project, dataset: str) -> Subjects:
    """Return the subjects that were erased from a dataset, or are being erased."""
    with project.read() as s:
        found = datasets.find(s, dataset)
        hashes = [] if found is None else [e.subject for e in erasures.of_dataset(s, found.id)]
    return Subjects(project, dataset, hashes)


def hashed(key: bytes, dataset: str, entity: object) -> str:
    """Return the HMAC stored for a subject, which identifies nobody without the key.

    A number is hashed as text: 7, 7.0 and "7" are one subject.
    """
    if isinstance(entity, float) and entity.is_integer():
        entity = int(entity)
    return blobs.sign(key, "erased subject", dataset, str(entity))
