"""Write ml.sqlite.example: a small database with rows in every table, for newcomers to look into.

Usage: python examples/example_database.py [FILE]. A short story is played through the program
itself, at fixed times; what differs from machine to machine (digests, versions, latencies) is then
replaced, so that the file is the same everywhere but for the last digits of numbers.
"""

import csv
import hashlib
import json
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from mlkit.flows.alerts import alerting
from mlkit.flows.data import ingest
from mlkit.flows.erasure import subject
from mlkit.flows.features import materialize
from mlkit.flows.log import actuals, imports, retention
from mlkit.flows.log.actuals import ActualItem
from mlkit.flows.monitoring import baselines, monitor
from mlkit.flows.operations import access, setup
from mlkit.flows.registry import deploy
from mlkit.flows.training import retrain, train
from mlkit.project import Project, open_project
from mlkit.server.query import Query
from mlkit.server.service import Service
from mlkit.store import audit, base, log_view, registry, runs, schema
from mlkit.store.dialects.sqlite import sqlite_driver
from mlkit.store.engine import Database

HERE = Path(__file__).parent
FIRST = datetime(2026, 9, 1, 6, 0, tzinfo=UTC)
SETTINGS = """
[drift]
min_rows = 60
[performance]
min_rows = 60
[alerts]
command = ["true"]
"""
FEATURES = """
from mlkit.features import feature_view

@feature_view(source="visits", entity="customer", time="seen_at", ttl="7d", owner="web team")
def last_visit(visits):
    \"\"\"What a customer has looked at last.\"\"\"
    return visits[["customer", "seen_at", "pages"]]
"""
KNOWN_AS = "0123abcd"
_MADE_ANEW = ("audit_event", "commit_count")
_CORRECTED = 6  # the day of which somebody has told a wrong end
_REST_S = 2.1  # a file that changed less than two seconds ago may change again unseen
_KEY = b"of an example"  # its audit trail is no project's
PACKAGES = {"numpy": "2.4.0", "scikit-learn": "1.9.0"}


def build(target: Path) -> None:
    """Play the story in a temporary folder and write its database to ``target``."""
    with tempfile.TemporaryDirectory() as room, _steady(Path(room) / "clock") as clock:
        root = Path(room) / "shop"
        _make(root)
        project = open_project(root)
        try:
            _play(project, clock)
            rows = _rows(project, room)
        finally:
            project.close()
        fresh = Path(room) / "fresh.sqlite"
        _write(fresh, rows)
        target.write_bytes(fresh.read_bytes())


@contextmanager
def _steady(clock: Path) -> Iterator[Path]:
    """Let time come from ``clock``, chance from a seed, and the actor be Ana."""
    kept, urandom = dict(os.environ), os.urandom
    clock.write_text(FIRST.isoformat())
    os.environ |= {"MLKIT_CLOCK": str(clock), "MLKIT_ACTOR": "ana@shop"}
    base.os.urandom = random.Random(1).randbytes  # type: ignore[attr-defined]  # noqa: S311  # the random bits of ids
    try:
        yield clock
    finally:
        os.urandom = urandom
        os.environ.clear()
        os.environ.update(kept)


def _make(root: Path) -> None:
    setup.make(root)
    (root / "mlkit.toml").write_text(SETTINGS)
    (root / "features.py").write_text(FEATURES)


def _play(project: Project, clock: Path) -> None:
    """Train and serve a model; let its world change; retrain it; take it back once."""
    past = _customers("customers.csv")[:460]
    file = project.root / "customers.csv"
    _write_csv(file, past[:400])
    ingest.add(project, "churn", file, target="churned", time="since")
    train.train(project, "churn", "churn", estimator="linear", promote=True, reason="first model")
    access.create(project, "shop-frontend")
    _day(project, clock, 1, past[400:])
    week = _customers("week.csv")
    for day, start in ((2, 0), (3, 100), (4, 200)):
        _day(project, clock, day, week[start : start + 100])
    _set(clock, 5, 9)
    alerting.ack(project, alerting.ongoing(project)[0].id)
    _job(project, "retrain", lambda: retrain.retrain_if_due(project, "churn"))
    _set(clock, 5, 11)
    deploy.rollback(project, "churn", reason="the sale is over")
    _set(clock, 5, 12)
    deploy.promote(project, "churn", 2, reason="it was no sale")
    retention.seal(project, older_than="3d")
    _day(project, clock, 6, week[300:400])
    first_days = baselines.window(project, length=None, start="2026-09-02", end="2026-09-04")
    baselines.add(project, "churn", "before-the-sale", first_days)
    _visits(project)


def _visits(project: Project) -> None:
    """Keep what customers looked at as a feature view; forget one of them."""
    file = project.root / "visits.csv"
    seen = [
        {"customer": f"c{number}", "seen_at": f"2026-09-0{1 + number % 5}T08:00:00Z",
         "pages": str(3 * number % 11)}
        for number in range(12)
    ]  # fmt: skip
    _write_csv(file, seen)
    ingest.add(project, "visits", file, time="seen_at", entity="customer")
    materialize.materialize(project)
    subject.erase(project, "visits", ["c7"], reason="asked by letter")


def _customers(name: str) -> list[dict[str, str]]:
    with (HERE / "own_csv" / name).open(newline="") as stream:
        return list(csv.DictReader(stream))


def _write_csv(file: Path, rows: list[dict[str, str]]) -> None:
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    os.utime(file, (FIRST.timestamp(), FIRST.timestamp()))
    time.sleep(_REST_S)  # its digest is remembered


def _as_json(row: dict[str, str]) -> dict[str, Any]:
    """Return the features of a row as a client sends them."""
    return {
        "since": row["since"],
        "age": int(row["age"]),
        "plan": row["plan"],
        "spend": float(row["spend"]) if row["spend"] else None,
        "active": row["active"] == "True",
    }


def _day(project: Project, clock: Path, day: int, rows: list[dict[str, str]]) -> None:
    """Serve ``rows`` at noon; learn the end of most, and let the jobs look, in the evening."""
    _set(clock, day, 12)
    service = Service(project)
    service.refresh()
    held = service.holder.get("churn")
    query = Query(
        held.reader.objects([_as_json(row) for row in rows]),
        [f"customer-{day}-{number}" for number in range(len(rows))],
        f"day-{day}",
        owner=KNOWN_AS,
        digest=hashlib.sha256(f"day-{day}".encode()).hexdigest(),
    )
    answers = service.scorer.answer(held, query, time.perf_counter_ns())
    service.stop()
    imports.collect(project)
    _set(clock, day, 20)
    known = [*zip(answers.ids[:-10], (row["churned"] for row in rows), strict=False)]
    actuals.add(project, [ActualItem(prediction_id=own, actual=end) for own, end in known])
    if day == _CORRECTED:
        own, end = known[0]
        other = "no" if end == "yes" else "yes"
        actuals.add(project, [ActualItem(prediction_id=own, actual=other, correct=True)])
    _job(project, "drift", lambda: monitor.check_drift(project, "churn").summary)
    _job(project, "performance", lambda: monitor.check_performance(project, "churn").summary)


def _job(project: Project, name: str, act: Callable[[], str]) -> None:
    """Record a run as the runner does, without a process of its own."""
    now = project.now()
    with project.write() as s:
        run = runs.claim(s, name, now, runner="shop 0 1 1", now=now)
    summary = act()
    if run is not None:
        with project.write() as s:
            end = now + timedelta(seconds=2)
            runs.finish(s, run.id, "ok", summary, end, duration_s=2.0)
    alerting.deliver(project)


def _set(clock: Path, day: int, hour: int) -> None:
    clock.write_text(FIRST.replace(day=day, hour=hour).isoformat())


def _rows(project: Project, room: str) -> dict[str, list[dict[str, Any]]]:
    """Return every row of every table, with what depends on the machine replaced."""
    found = {}
    with project.read() as s:
        for table in schema.metadata.sorted_tables:
            order = list(table.primary_key.columns)
            rows = s.execute(select(table).order_by(*order)).mappings()
            found[table.name] = [_calm(table.name, dict(row), room) for row in rows]
    return found


def _calm(table: str, row: dict[str, Any], room: str) -> dict[str, Any]:
    """Return the row as it would be on any machine."""
    fixed = {"python": "3.11.9", "packages": PACKAGES, "latency_us": 400, "code_commit": None,
             "inode": "2049:131", "ctime_ns": int(FIRST.timestamp() * 1e9)}  # fmt: skip
    if table == "token":
        fixed["id"] = KNOWN_AS
    row |= {name: value for name, value in fixed.items() if name in row}
    for name, value in row.items():
        if re.search("sha256|signature", name) and value is not None:
            row[name] = hashlib.sha256(
                f"{table} {name} {row.get('id', row.get('path'))}".encode()
            ).hexdigest()
        elif isinstance(value, str | dict | list):
            row[name] = _without_machine(value, room)
    return row


def _without_machine(value: Any, room: str) -> Any:
    """Replace places, durations and digests inside of texts and JSON."""
    text = json.dumps(value).replace(room, "/srv")
    text = re.sub(r"\d+(\.\d+)? ms", "0.4 ms", text)
    text = re.sub(r'("\w*_ms": )[\d.]+', r"\g<1>0.4", text)
    text = re.sub(r"\b[0-9a-f]{64}\b", "0" * 64, text)
    text = re.sub(r"token [0-9a-f]{8}", f"token {KNOWN_AS}", text)
    return json.loads(
        re.sub(r"log/churn/([\d-]+)/[\w-]+\.parquet", r"log/churn/\1/1.parquet", text)
    )


def _write(file: Path, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Write the rows into a new, migrated database, and chain the audit trail anew."""
    database = Database(f"sqlite:///{file}")
    schema.upgrade(database)
    with database.write() as s:
        for table in schema.metadata.sorted_tables:
            if table.name not in _MADE_ANEW and rows[table.name]:
                s.execute(table.insert(), rows[table.name])
        audit.attach(s, audit.Trail(key=lambda: _KEY, witnessed=lambda: None))
        for event in rows["audit_event"]:
            told = {name: event[name] for name in ("actor", "action", "subject", "details")}
            audit.record(s, event["at"], **told)
        for model in registry.list_models(s):
            log_view.refresh(s, model)
    database.dispose()
    with closing(sqlite_driver().connect(str(file))) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("PRAGMA page_size=2048")  # many tables of few rows
        connection.execute("VACUUM")


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "ml.sqlite.example")
