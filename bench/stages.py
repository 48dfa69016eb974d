"""Time each stage of the loop on the demo's flights: a base for later work to be compared with.

Usage: python bench/stages.py [--json]. Needs the extra ``demo``; works in a temporary folder.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from mlkit.demo import flights
from mlkit.demo.client import Client
from mlkit.demo.served import serving
from mlkit.flows import predict
from mlkit.flows.data import ingest
from mlkit.flows.log import imports
from mlkit.flows.monitoring import monitor
from mlkit.flows.operations import backup, restore, setup, status
from mlkit.flows.registry import deploy
from mlkit.flows.training import retrain, train
from mlkit.project import Project, open_project

MODEL = "flights"
LIVE_ROWS = 3000  # flights of February that are served, as many as the demo sends a month
BATCH = 100
SINGLES = 2000


@dataclass
class Stage:
    """One line of the result."""

    name: str
    seconds: float
    rows: int | None = None
    note: str = ""


@dataclass
class Watch:
    """Collect stages as they end."""

    stages: list[Stage] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str, rows: int | None = None) -> Iterator[Stage]:
        """Time what is inside; the stage may be given rows and a note meanwhile."""
        stage = Stage(name, 0.0, rows)
        print(f"{name} ...", file=sys.stderr)
        begun = time.perf_counter()
        yield stage
        stage.seconds = time.perf_counter() - begun
        self.stages.append(stage)


def line(stage: Stage) -> str:
    """Return a stage as a row of a Markdown table."""
    rate = f"{stage.rows / stage.seconds:,.0f}" if stage.rows and stage.seconds else ""
    rows = f"{stage.rows:,}" if stage.rows else ""
    return f"| {stage.name} | {stage.seconds:.2f} | {rows} | {rate} | {stage.note} |"


def main() -> None:
    """Run all stages and print them."""
    watch = Watch()
    with tempfile.TemporaryDirectory() as room:
        root = Path(room) / "project"
        with watch.stage("read the year and its weather") as stage:
            year = flights.read(flights.folder())
            stage.rows = len(year)
        january, february = (_write(flights.of_month(year, m), Path(room), m) for m in (1, 2))
        with watch.stage("init"):
            setup.make(root)
        project = open_project(root)
        _learn(watch, project, january)
        _serve(watch, project, flights.sample(flights.of_month(year, 2), LIVE_ROWS, seed=(0, 2)))
        _judge(watch, project, february)
        _keep(watch, project, Path(room))
        project.close()
    if "--json" in sys.argv[1:]:
        print(json.dumps([asdict(stage) for stage in watch.stages], indent=1))
        return
    print("| stage | seconds | rows | rows/s | |\n|---|---|---|---|---|")
    print("\n".join(line(stage) for stage in watch.stages))


def _write(table: pa.Table, folder: Path, month: int) -> Path:
    file = folder / f"{month}.csv"
    pyarrow.csv.write_csv(table, file)
    return file


def _learn(watch: Watch, project: Project, january: Path) -> None:
    with watch.stage("data add (CSV, infer and check rules)") as stage:
        stage.rows = ingest.add(
            project, MODEL, january, target=flights.TARGET, time=flights.TIME
        ).rows
    with watch.stage("train (whole ladder), gate, register, promote") as stage:
        done = train.train(project, MODEL, MODEL, promote=True)
        stage.note = f"{done.estimator}, mae {done.metrics['mae']:.2f}"
    with watch.stage("load the champion (digest, signature, golden rows)"):
        deploy.load_version(project, deploy.find_version(project, MODEL))


def _serve(watch: Watch, project: Project, live: pa.Table) -> None:
    rows = live.select(flights.FEATURES).to_pylist()
    truth = live[flights.TARGET].to_pylist()
    begun = time.perf_counter()
    with serving(project.root, os.environ, project.log_dir / "server.log") as port:
        watch.stages.append(Stage("start the server (2 workers)", time.perf_counter() - begun))
        client = Client(port, MODEL)
        ids = []
        with watch.stage(f"predict over HTTP, {BATCH} rows a request", len(rows)):
            for start in range(0, len(rows), BATCH):
                answer = client.predict(rows[start : start + BATCH])
                ids += [p.id for p in answer.predictions] if answer else []
        with watch.stage("predict over HTTP, one row a request, one connection", SINGLES) as stage:
            stage.note = _latencies([_timed(client, row) for row in rows[:SINGLES]])
        with watch.stage("post actuals", len(ids)):
            client.observe(dict(zip(ids, map(float, truth), strict=True)))
        client.close()
        if client.failed:
            raise SystemExit(f"{client.failed} of {client.sent} requests failed")


def _timed(client: Client, row: dict[str, object]) -> float:
    begun = time.perf_counter()
    client.predict([row])
    return 1000 * (time.perf_counter() - begun)


def _latencies(times: list[float]) -> str:
    cuts = statistics.quantiles(times, n=100)
    return f"p50 {cuts[49]:.2f} ms, p99 {cuts[98]:.2f} ms"


def _judge(watch: Watch, project: Project, february: Path) -> None:
    with watch.stage("bring the rest of the journal into the database"):
        imports.sync(project)
    with watch.stage("drift check", LIVE_ROWS + SINGLES) as stage:
        stage.note = monitor.check_drift(project, MODEL).verdict
    with watch.stage("perf check", LIVE_ROWS) as stage:
        stage.note = monitor.check_performance(project, MODEL).verdict
    with watch.stage("retrain from the log") as stage:
        done = retrain.retrain(project, MODEL)
        stage.rows, stage.note = done.rows, done.summary
    with watch.stage("predict a file (CSV to CSV)") as stage:
        output = february.with_suffix(".out.csv")
        stage.rows = predict.predict(project, MODEL, february, output=output).rows


def _keep(watch: Watch, project: Project, room: Path) -> None:
    copy = room / "copy.mlkit.tar"
    acts: dict[str, Callable[[], object]] = {
        "status": lambda: status.read(project),
        "backup create": lambda: backup.create(project, copy),
        "backup verify": lambda: restore.verify(copy),
        "backup restore": lambda: restore.restore(copy, room / "again"),
    }
    for name, act in acts.items():
        with watch.stage(name):
            act()


if __name__ == "__main__":
    main()
