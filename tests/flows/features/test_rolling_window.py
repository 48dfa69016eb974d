"""The count of the last days, as docs/features.md writes it."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlkit.flows.data import ingest
from mlkit.flows.features import catalog, checks, joining, materialize
from mlkit.flows.features.joining import Recipe

PAGE = Path(__file__).parents[3] / "docs" / "features.md"
DAYS = ["2026-01-01", "2026-01-02", "2026-01-04"]  # of customer 1, at eight; the clock: the 5th


@pytest.fixture
def shop(clocked: Any) -> Any:
    project = clocked.project
    (code,) = re.findall(r"```python\n([^`]*def recent_orders.*?)```", PAGE.read_text(), re.DOTALL)
    (project.root / "features.py").write_text(code)
    orders = pd.DataFrame({
        "customer": [1, 1, 1, 2], "placed_at": [f"{day}T08:00:00Z" for day in (*DAYS, DAYS[0])],
        "paid": [1, 2, 3, 4],
    })  # fmt: skip
    orders.to_csv(project.root / "orders.csv", index=False)
    ingest.add(project, "orders", project.root / "orders.csv", target="paid", time="placed_at")
    return clocked


def test_the_count_of_the_last_days_falls_as_time_goes_by(shop: Any) -> None:
    seen = []
    for days in (0, 3, 1, 2):  # on the 5th, 8th, 9th and 11th at noon
        shop.wait(days=days)
        materialize.materialize(shop.project)
        (found,) = catalog.get(shop.project, "recent_orders", ["1"])
        seen.append(found.features["orders_7d"] if found.features else None)
    assert seen == [3, 2, 1, 0]


def test_in_training_no_order_counts_itself_and_the_past_is_what_it_was(shop: Any) -> None:
    joining.join(shop.project, "joined", Recipe("orders", ("recent_orders",)))
    rows = ingest.load_version(shop.project, _newest(shop.project, "joined"))
    assert rows["orders_7d"].to_pylist() == [0, 1, 2, 0]
    assert checks.examine(shop.project, ("recent_orders",)).passed


def _newest(project: Any, name: str) -> Any:
    from mlkit.store import datasets

    with project.read() as s:
        return datasets.get_version(s, name, None)
