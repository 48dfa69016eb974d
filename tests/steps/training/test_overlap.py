"""Rows on both sides of the split."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mlkit.steps.training import overlap
from mlkit.steps.training.split import Split

ROWS = 1_000
SPLIT = Split(np.arange(800), np.arange(800, ROWS))


def _table(**changes: Any) -> pa.Table:
    rng = np.random.default_rng(0)
    columns = {
        "at": np.arange(ROWS),
        "size": rng.gamma(2, 10, ROWS),
        "plan": rng.choice(["a", "b"], ROWS),
        "y": rng.choice(["no", "yes"], ROWS),
    }
    return pa.table({**columns, **changes})


def _find(table: pa.Table, keys: Any = ("at",)) -> list[str]:
    features = [name for name in table.column_names if name not in ("at", "y")]
    return overlap.find(table, SPLIT, features=features, target="y", keys=keys)


def _repeated(table: pa.Table, rows: int, *, later: bool) -> pa.Table:
    """The first rows of the holdout are copies of the first rows; ``later`` keeps their time."""
    places = np.arange(ROWS)
    places[800 : 800 + rows] = np.arange(rows)
    copied = table.take(places)
    return copied.set_column(0, "at", table["at"]) if later else copied


def test_copies_are_counted_and_their_share_is_told() -> None:
    (found,) = _find(_repeated(_table(), 30, later=False))
    assert found.startswith(
        "duplicates_across_split: 30 of 200 holdout rows (15.0%) are copies of training rows"
    )


def test_the_same_thing_at_another_time_is_named_too() -> None:
    (found,) = _find(_repeated(_table(), 30, later=True))
    assert "30 of 200 holdout rows (15.0%) have the same features and the same 'y'" in found


def test_without_a_time_or_entity_copies_are_rows_that_are_alike() -> None:
    (found,) = _find(_repeated(_table(), 30, later=False), keys=())
    assert "have the same features" in found


@pytest.mark.parametrize(
    "table",
    [
        _table(),
        _repeated(_table(), 1, later=True),
        _table(size=np.random.default_rng(1).integers(0, 9, ROWS)),
        _table(size=np.random.default_rng(1).integers(0, 300, ROWS)),
    ],
)
def test_rows_that_are_alike_by_chance_are_not_named(table: pa.Table) -> None:
    assert _find(table) == []


def test_missing_values_are_alike() -> None:
    table = _repeated(_table(), 30, later=False)
    holes = pa.array([None if place % 3 == 0 else 1.5 * place for place in range(ROWS)])
    holes = holes.take(pa.array(np.r_[:800, :30, 830:ROWS]))
    (found,) = _find(table.append_column("holes", holes))
    assert "30 of 200" in found
