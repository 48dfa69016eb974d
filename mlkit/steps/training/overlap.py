"""Leakage by duplicates: holdout rows that are also training rows make a model look too good."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pandas.util import hash_pandas_object

from mlkit.steps.training.split import Split

_MIN_ROWS: Final = 5
_MIN_SHARE: Final = 0.01
_BEYOND_CHANCE: Final = 3  # times the expected number of equal rows that chance may explain
_FINE: Final = 0.2  # share of distinct values from which on equal rows are unlikely by chance


class _Roles(NamedTuple):
    features: Sequence[str]
    target: str
    keys: Sequence[str]


def find(
    table: pa.Table, split: Split, *, features: Sequence[str], target: str, keys: Sequence[str]
) -> list[str]:
    """Return a warning ``duplicates_across_split`` if holdout rows are also training rows.

    If there are ``keys`` (time, entity), rows that are equal in every column count. Rows with equal
    features and target count, too, if there are more than chance explains.
    """
    return list(_walk(table, split, _Roles(features, target, keys)))


def _walk(table: pa.Table, split: Split, roles: _Roles) -> Iterator[str]:
    copies = _shared(table, split, table.column_names) if roles.keys else 0
    judged = len(split.holdout)
    if copies:
        yield (
            f"duplicates_across_split: {copies:,} of {judged:,} holdout rows "
            f"({copies / judged:.1%}) are copies of training rows; drop repeated rows before the "
            "data is added"
        )
    alike = _shared(table, split, [*roles.features, roles.target]) - copies
    if alike >= max(_MIN_ROWS, _MIN_SHARE * judged) and not _by_chance(table, split, roles, alike):
        yield (
            f"duplicates_across_split: {alike:,} of {judged:,} holdout rows "
            f"({alike / judged:.1%}) have the same features and the same '{roles.target}' as a "
            "training row; are they the same thing twice"
        )


def _shared(table: pa.Table, split: Split, names: Sequence[str]) -> int:
    """Return how many rows of the holdout equal a training row in the columns ``names``.

    Rows are compared by 64-bit hashes: grouping by two thousand columns takes ten times as long.
    """
    hashes = hash_pandas_object(table.select(list(names)).to_pandas(), index=False).to_numpy()
    return int(np.isin(hashes[split.holdout], hashes[split.train]).sum())


def _by_chance(table: pa.Table, split: Split, roles: _Roles, alike: int) -> bool:
    """Tell whether chance explains as many equal rows.

    It does if every column has few distinct values, or if the expected number of equal pairs with
    independent columns, n m Π P(two values are equal), is not much smaller.
    """
    names = [*roles.features, roles.target]
    if not any(_distinct_share(table.column(name)) >= _FINE for name in names):
        return True
    chance = float(np.prod([_collision(table.column(name)) for name in names]))
    return alike <= _BEYOND_CHANCE * chance * len(split.train) * len(split.holdout)


def _distinct_share(column: pa.ChunkedArray) -> float:
    return float(pc.count_distinct(column).as_py() / max(1, len(column)))


def _collision(column: pa.ChunkedArray) -> float:
    """Return the probability that two different rows have the same value."""
    counts = pc.value_counts(column).field("counts").to_numpy().astype(float)
    pairs = len(column) * (len(column) - 1.0)
    return float((counts * (counts - 1)).sum() / pairs)
