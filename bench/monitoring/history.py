"""Write a project with a long log: ``history.py FOLDER ROWS_A_DAY DAYS [--recent DAYS]``.

The reference and the rows of the last day are those of ``frames``. Segments are written by the code
that seals, without the detour over the database, but for the newest ``--recent`` days, which stay
in the database. The newest day is also written to ``window.parquet`` for who reads one file.
"""

import argparse
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import frames
import numpy as np
import pandas as pd
import pyarrow as pa

from mlkit.flows.data import ingest
from mlkit.flows.log import log_segments, log_table
from mlkit.flows.operations import setup
from mlkit.flows.registry import deploy
from mlkit.flows.registry.deploy import Loaded
from mlkit.flows.training import train
from mlkit.project import Project, open_project
from mlkit.store import predictions
from mlkit.store.base import new_ids
from mlkit.store.log_columns import Entry
from mlkit.store.predictions import Selection

MODEL = "orders"
CHUNK = 50_000  # rows of a segment, as many as are sealed at a time
_DAY = timedelta(days=1)


def main() -> None:
    """Train on the reference, then write the days until midnight."""
    options = _options()
    setup.make(options.folder)
    project = open_project(options.folder)
    midnight = datetime.combine(project.now().date(), time(), UTC)
    _train(project, midnight - options.days * _DAY)
    loaded = deploy.load_version(project, deploy.find_version(project, MODEL))
    for left in range(options.days, 0, -1):
        frame = frames.frame(options.rows, 1_000 + left, shift=0.1 if left == 1 else 0.0)
        if left == 1:
            frame.to_parquet(options.folder / "window.parquet")
        write = _keep if left <= options.recent else _seal
        write(project, loaded, frame, midnight - left * _DAY)
    project.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("rows", type=int)
    parser.add_argument("days", type=int)
    parser.add_argument("--recent", type=int, default=0)
    return parser.parse_args()


def _train(project: Project, end: datetime) -> None:
    frame = frames.frame(frames.REFERENCE, 0)
    start = end - 30 * _DAY
    step = (end - start) / len(frame)
    frame["at"] = pd.to_datetime([start + place * step for place in range(len(frame))], utc=True)
    rng = np.random.default_rng(0)
    frame["late"] = (frame["x0"] + rng.normal(size=len(frame)) > 0).astype(int)
    file = project.root / "orders.parquet"
    frame.to_parquet(file)
    ingest.add(project, MODEL, file, target="late", time="at")
    file.unlink()
    train.train(project, MODEL, MODEL, estimator="logistic", promote=True)


def _seal(project: Project, loaded: Loaded, frame: pd.DataFrame, start: datetime) -> None:
    step = _DAY / len(frame)
    rng = np.random.default_rng(1)
    for at in range(0, len(frame), CHUNK):
        part = frame.iloc[at : at + CHUNK]
        times = [start + place * step for place in range(at, at + len(part))]
        second = rng.random(len(part))
        ids = new_ids(times[0], len(part))
        own = {
            "_seq": pa.array(range(at, at + len(part)), pa.int64()),
            "_id": pa.array(ids),
            "_request_id": pa.array(ids),
            "_version": pa.array(np.full(len(part), loaded.version), pa.int64()),
            "_role": pa.array(["champion"] * len(part)),
            "_served_at": pa.array(times, log_table.TIME),
            "_latency_us": pa.array(np.full(len(part), 100), pa.int64()),
            "_value": pa.array((second > 0.5).astype(int), pa.int64()),
            "_probabilities": pa.array(np.stack([1 - second, second], axis=1).tolist()),
        }
        given = {name: pa.array(part[name]) for name in part.columns}
        target = log_table.arrow_schema([loaded.schema])
        table = log_table.conform(pa.table(own | given), target)
        selection = Selection(loaded.model_id, start, start + _DAY)
        with project.write() as s:
            s.add(log_segments.write(project, MODEL, selection, table))


def _keep(project: Project, loaded: Loaded, frame: pd.DataFrame, start: datetime) -> None:
    """Put the rows into the database, as the importer of the journal does."""
    step = _DAY / len(frame)
    rng = np.random.default_rng(1)
    for at in range(0, len(frame), CHUNK):
        part = frame.iloc[at : at + CHUNK]
        first = start + at * step
        ids = new_ids(first, len(part))
        entries = []
        for place, features in enumerate(part.itertuples(index=False, name=None)):
            second = float(rng.random())
            served = first + place * step
            entries.append(Entry(
                ids[place], loaded.model_id, loaded.version_id, loaded.version, "champion",
                int(served.timestamp() * 1e6), 100, [ids[place]], None, [features],
                [int(second > 0.5)], [[1 - second, second]],
            ))  # fmt: skip
        with project.write() as s:
            predictions.add(s, entries)


if __name__ == "__main__":
    main()
