"""The join by ``pandas.merge_asof`` alone, the floor of what a join costs: ``... join FOLDER``."""

import sys
from pathlib import Path

import meter
import pandas as pd
from rows import VIEWS


def main() -> None:
    """Join the views to the rows; both sides are sorted by time first, as it needs them."""
    folder = Path(sys.argv[2])
    asked = pd.read_parquet(folder / "asked.parquet")

    def joined() -> pd.DataFrame:
        found = asked.reset_index().sort_values("event_timestamp", kind="stable")
        for name in VIEWS:
            view = pd.read_parquet(folder / f"{name}.parquet").sort_values("event_timestamp")
            found = pd.merge_asof(
                found, view, on="event_timestamp", by="id", tolerance=pd.Timedelta("7d")
            )
        return found.sort_values("index").drop(columns="index")

    found, cost = meter.best(joined)
    found.to_parquet(folder / "joined-pandas.parquet")
    meter.tell(step="join", rows=len(found), **cost)


if __name__ == "__main__":
    main()
