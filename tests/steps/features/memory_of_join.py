"""Print the peak of a streamed join above what was there before, and the size of its output.

A program of its own: ``memory_of_join.py ROWS``.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

from mlkit.provenance import ViewUse
from mlkit.steps.features import point_in_time

VIEW_ROWS = 20_000


def _kilobytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def _times(rng: np.random.Generator, rows: int) -> pa.Array:
    return pa.array(rng.integers(0, 10**12, rows)).cast(pa.timestamp("us", "UTC"))


def main() -> None:
    rows = int(sys.argv[1])
    rng = np.random.default_rng(0)
    indexes = []
    for name in "abc":
        table = pa.table({"key": rng.integers(0, 500, VIEW_ROWS), "at": _times(rng, VIEW_ROWS)})
        for letter in "xy":
            table = table.append_column(f"{name}{letter}", [rng.random(VIEW_ROWS)])
        use = ViewUse(name=name, version=1, dataset="d@1", columns=(f"{name}x", f"{name}y"),
                      types=("number", "number"), entity="key", key="integer")  # fmt: skip
        indexes.append(point_in_time.index(table, use))
    base = pa.table({"key": rng.integers(0, 500, rows), "time": _times(rng, rows)})
    list(point_in_time.join([base.slice(0, 10)], indexes, "time"))
    Path("/proc/self/clear_refs").write_text("5")
    before = _kilobytes("VmRSS")
    done = pa.concat_tables(point_in_time.join(point_in_time.sliced(base), indexes, "time"))
    sys.stdout.write(f"{(_kilobytes('VmHWM') - before) * 1024} {done.nbytes}\n")


if __name__ == "__main__":
    main()
