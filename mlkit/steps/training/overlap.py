"""Rows that judge and have already taught: copies on both sides of the split flatter a model."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pandas.util import hash_pandas_object

from mlkit.steps.training.split import Split

_MIN_ROWS: Final = 5
_MIN_SHARE: Final = 0.01
_BEYOND_CHANCE: Final = 3  # fewer than copies themselves add to what chance seems to do
_FINE: Final = 0.2  # of the rows have a value of their own: chance hardly makes two alike


class _Roles(NamedTuple):
    features: Sequence[str]
    target: str
    keys: Sequence[str]


def find(
    table: pa.Table, split: Split, *, features: Sequence[str], target: str, keys: Sequence[str]
) -> list[str]:
    """Return a warning ``duplicates_across_split`` if rows of the holdout also teach.

    Copies in every column, where ``keys`` (time, entity) tell rows apart; else rows with the same
    features and the same target, if there are more of them than few values would bring about.
    """
    return list(_walk(table, split, _Roles(features, target, keys)))


def _walk(table: pa.Table, split: Split, roles: _Roles) -> Iterator[str]:
    copies = _shared(table, split, table.column_names) if roles.keys else 0
    judged = len(split.holdout)
    if copies:
        yield (
            f"duplicates_across_split: {copies:,} of {judged:,} rows that judge "
            f"({copies / judged:.1%}) are copies of rows that teach; drop repeated rows before the "
            "data is added"
        )
    alike = _shared(table, split, [*roles.features, roles.target]) - copies
    if alike >= max(_MIN_ROWS, _MIN_SHARE * judged) and not _by_chance(table, split, roles, alike):
        yield (
            f"duplicates_across_split: {alike:,} of {judged:,} rows that judge "
            f"({alike / judged:.1%}) have the same features and the same '{roles.target}' as a row "
            "that teaches; are they the same thing twice"
        )


def _shared(table: pa.Table, split: Split, names: Sequence[str]) -> int:
    """Return how many rows of the holdout equal a training row in the columns ``names``.

    Rows are compared by 64 bits of hash: grouping by two thousand columns takes ten times as long.
    """
    hashes = hash_pandas_object(table.select(list(names)).to_pandas(), index=False).to_numpy()
    return int(np.isin(hashes[split.holdout], hashes[split.train]).sum())


def _by_chance(table: pa.Table, split: Split, roles: _Roles, alike: int) -> bool:
    """Tell whether columns of few values, or independent ones, would make as many rows alike."""
    names = [*roles.features, roles.target]
    if not any(_distinct_share(table.column(name)) >= _FINE for name in names):
        return True
    chance = float(np.prod([_collision(table.column(name)) for name in names]))
    return alike <= _BEYOND_CHANCE * chance * len(split.train) * len(split.holdout)


def _distinct_share(column: pa.ChunkedArray) -> float:
    return float(pc.count_distinct(column).as_py() / max(1, len(column)))


def _collision(column: pa.ChunkedArray) -> float:
    """Return how likely two different rows have the same value."""
    counts = pc.value_counts(column).field("counts").to_numpy().astype(float)
    pairs = len(column) * (len(column) - 1.0)
    return float((counts * (counts - 1)).sum() / pairs)
