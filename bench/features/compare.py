"""Compare the joins of all tools row by row: ``compare.py FOLDER`` says how many rows are equal."""

import json
import sys
from pathlib import Path

import pandas as pd
from rows import VIEWS

NAMES = [f"{view}_{letter}" for view in VIEWS for letter in "abn"]


def main() -> None:
    """Print the rows of each tool; any value that differs ends this with an error."""
    folder = Path(sys.argv[1])
    ours = _read(folder, "mlkit")
    theirs = _read(folder, "feast")
    floor = _read(folder, "pandas")
    pd.testing.assert_frame_equal(ours, floor, check_dtype=False, check_index_type=False)
    both = ours.merge(theirs, on=["id", "event_timestamp"], suffixes=("", "_theirs"))
    different = 0
    for name in NAMES:
        mine, other = both[name], both[f"{name}_theirs"]
        different += int((~((mine == other) | (mine.isna() & other.isna()))).sum())
    if different:
        raise SystemExit(f"{different} values differ between mlkit and Feast")
    print(json.dumps({"mlkit": len(ours), "feast": len(theirs), "compared": len(both) * len(NAMES),
                      "some": int(ours[NAMES].notna().any(axis=1).sum())}))  # fmt: skip


def _read(folder: Path, tool: str) -> pd.DataFrame:
    frame = pd.read_parquet(folder / f"joined-{tool}.parquet")
    frame["event_timestamp"] = frame["event_timestamp"].astype("datetime64[us, UTC]")
    sorted_ = frame.sort_values(["event_timestamp", "id"]).reset_index(drop=True)
    return sorted_[["id", "event_timestamp", *NAMES]].astype(dict.fromkeys(NAMES, "float64"))


if __name__ == "__main__":
    main()
