"""Write the rows that both tools get: ``rows.py FOLDER ROWS EVENTS``."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

VIEWS = ("first", "second", "third")
DAYS = 30


def main() -> None:
    """Write three views, the latest values of as many entities, and the rows to join to."""
    folder, rows, events = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    rng = np.random.default_rng(0)
    end = pd.Timestamp.now("UTC").floor("s") - pd.Timedelta("1h")

    def times(count: int) -> pd.Series:
        length = DAYS * 24 * 3600 * 10**6
        return pd.Series(end - pd.to_timedelta(rng.integers(1, length, count), unit="us"))

    for name in VIEWS:
        _frame(rng, rng.integers(0, rows // events, rows), times(rows), name).to_parquet(
            folder / f"{name}.parquet"
        )
    _frame(rng, rng.permutation(rows), times(rows), "latest").to_parquet(folder / "latest.parquet")
    asked = pd.DataFrame(
        {"id": rng.integers(0, rows // events, rows), "event_timestamp": times(rows)}
    )
    asked.to_parquet(folder / "asked.parquet")


def _frame(rng: np.random.Generator, ids: np.ndarray, times: pd.Series, name: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": ids,
            "event_timestamp": times,
            f"{name}_a": rng.normal(size=len(ids)),
            f"{name}_b": rng.normal(size=len(ids)),
            f"{name}_n": rng.integers(0, 1000, len(ids)),
        }
    )


if __name__ == "__main__":
    main()
