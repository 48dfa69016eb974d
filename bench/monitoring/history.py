"""Write a project whose log holds sealed rows: ``history.py FOLDER ROWS_A_DAY DAYS``.

The reference and the rows of the last day are those of ``frames``. Segments are written by the code
that seals, without the detour over the database; the newest day is also written to
``window.parquet`` for who reads one file.
"""

import sys
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import frames
import numpy as np
import pandas as pd
import pyarrow as pa

from mlkit.flows import deploy, ingest, log_segments, log_table, setup, train
from mlkit.flows.deploy import Loaded
from mlkit.project import Project, open_project
from mlkit.store.base import new_ids
from mlkit.store.predictions import Selection

MODEL = "orders"
CHUNK = 50_000  # rows of a segment, as many as are sealed at a time
_DAY = timedelta(days=1)


def main(folder: Path, rows: int, days: int) -> None:
    """Train on the reference, then write ``days`` days of ``rows`` sealed rows, until midnight."""
    setup.make(folder)
    project = open_project(folder)
    midnight = datetime.combine(project.now().date(), time(), UTC)
    _train(project, midnight - days * _DAY)
    loaded = deploy.load_version(project, deploy.find_version(project, MODEL))
    for day in range(days):
        last = day == days - 1
        frame = frames.frame(rows, 1_000 + day, shift=0.1 if last else 0.0)
        if last:
            frame.to_parquet(folder / "window.parquet")
        _seal(project, loaded, frame, midnight - (days - day) * _DAY)
    project.close()


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


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
