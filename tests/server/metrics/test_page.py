"""Numbers of several processes: summed, never lost, never backwards, never more than a file."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select

from mlkit.layout import DATABASE_FILE
from mlkit.project import Project
from mlkit.server.metrics import page, slots
from mlkit.server.metrics.families import Served
from mlkit.server.metrics.meter import BOUNDS_S, OTHER, Meter
from mlkit.server.metrics.page import Metrics
from mlkit.store import backlog
from mlkit.store.alerts import Alert
from mlkit.store.base import new_id
from mlkit.store.dialects.sqlite import sqlite_driver
from mlkit.store.journal import Journal
from mlkit.store.log_columns import Entry
from mlkit.store.registry import ModelVersion
from mlkit.store.reports import DriftReport, PerformanceReport
from mlkit.store.runs import JobRun

ROUTE = "/predict/<model>"
SERVED = Served("churn", 3, "ab" * 32, "linear", 0.25)
COUNT = """
import sys
from pathlib import Path
from mlkit.server.metrics.meter import Meter

meter = Meter(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    meter.begin()
    meter.answered("/predict/<model>", "churn", 200, 0.002, 3)
    meter.end()
meter.begin()
print(meter.slot.path.name, flush=True)
sys.stdin.read()
"""

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def folder(project: Project) -> Path:
    return project.state_dir / "metrics"


@pytest.fixture
def meter(folder: Path) -> Iterator[Meter]:
    made = Meter(folder)
    yield made
    made.close()


def _worker(folder: Path, requests: int) -> subprocess.Popen[str]:
    """Start a process that counts ``requests`` and then has one in flight until it is ended."""
    return subprocess.Popen(
        [sys.executable, "-c", COUNT, folder, str(requests)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def _said(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    return worker.stdout.readline().strip()


def _scrape(project: Project, meter: Meter, *served: Served, generation: int = 7) -> Samples:
    text = Metrics(project, meter).render(served, generation).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, tuple(sorted(labels.items()))]


def test_counts_of_several_processes_add_up_though_one_is_killed_and_replaced(
    project: Project, meter: Meter, folder: Path
) -> None:
    labels = {"route": ROUTE, "model": "churn", "status": "200"}
    workers = [_worker(folder, 5000), _worker(folder, 7000)]
    names = [_said(worker) for worker in workers]
    try:
        assert sorted(names) == ["worker-1", "worker-2"]
        found = _scrape(project, meter)
        assert _value(found, "mlkit_requests_total", **labels) == 12_000
        assert _value(found, "mlkit_rows_total", model="churn") == 36_000
        assert _value(found, "mlkit_requests_in_flight") == 2
        assert _value(found, "mlkit_workers") == 3
        assert _value(found, "mlkit_resident_bytes", worker="2") > 1e6

        workers[0].send_signal(signal.SIGKILL)
        workers[0].wait()
        found = _scrape(project, meter)
        assert _value(found, "mlkit_requests_total", **labels) == 12_000
        assert _value(found, "mlkit_requests_in_flight") == 1
        assert _value(found, "mlkit_workers") == 2

        workers.append(_worker(folder, 100))
        assert _said(workers[2]) == names[0]
        meter.answered(ROUTE, "churn", 200, 0.002, 1)
        found = _scrape(project, meter)
        assert _value(found, "mlkit_requests_total", **labels) == 12_101
        assert _value(found, "mlkit_requests_in_flight") == 2
        assert len(list(folder.iterdir())) == 3
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def test_the_buckets_are_cumulative_and_include_their_bound(project: Project, meter: Meter) -> None:
    for seconds in (0.0001, 0.0005, 0.00051, 9.0):
        meter.answered(ROUTE, "churn", 200, seconds, 1)
    meter.answered(ROUTE, "churn", 422, 0.3, 0)
    found = _scrape(project, meter)
    series = {"route": ROUTE, "model": "churn"}
    buckets = [
        _value(found, "mlkit_request_seconds_bucket", **series, le=str(bound))
        for bound in (*BOUNDS_S, "+Inf")
    ]
    assert buckets == [2, *[3] * 8, 4, 4, 4, 5]
    assert _value(found, "mlkit_request_seconds_count", **series) == 5
    assert _value(found, "mlkit_request_seconds_sum", **series) == pytest.approx(9.30111)


def test_a_file_never_grows_and_what_finds_no_room_is_counted_together(
    project: Project, meter: Meter, folder: Path
) -> None:
    for number in range(slots.CAPACITY + 100):
        meter.answered(ROUTE, f"m{number}", 200, 0.01, 1)
    meter.answered(ROUTE, "m" * 300, 200, 0.01, 1)
    meter.invalid("late")
    found = _scrape(project, meter)
    lost = _value(found, "mlkit_series_overflow_total")
    assert lost == 100 + 1 + 4
    assert _value(found, "mlkit_requests_total", route=OTHER, model=OTHER, status="0") == lost
    assert _value(found, "mlkit_validation_failures_total", model=OTHER) == 1
    assert [path.stat().st_size for path in folder.iterdir()] == [slots.SIZE]


@pytest.mark.parametrize("label", ['"} 1\nfake_metric 2', "back\\slash", "ünïcode", "a,b={}"])
def test_a_hostile_label_stays_a_label(project: Project, meter: Meter, label: str) -> None:
    meter.answered(ROUTE, label, 200, 0.01, 1)
    found = _scrape(project, meter, SERVED._replace(model=label))
    assert _value(found, "mlkit_requests_total", route=ROUTE, model=label, status="200") == 1
    assert not any(name == "fake_metric" for name, _ in found)


def test_the_next_start_of_the_server_counts_from_zero(project: Project, folder: Path) -> None:
    first = Meter(folder)
    first.answered(ROUTE, "churn", 200, 0.01, 1)
    first.close()
    slots.clear(folder)
    second = Meter(folder)
    assert not any(name == "mlkit_rows_total" for name, _ in _scrape(project, second))
    second.close()


def test_a_worker_that_finds_no_room_on_the_disk_counts_in_memory(
    project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", refuse)
        lone = Meter(folder)
    lone.answered(ROUTE, "churn", 200, 0.01, 2)
    assert _value(_scrape(project, lone), "mlkit_rows_total", model="churn") == 2
    lone.close()


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\0" * slots.SIZE, b"y" * slots.SIZE])
def test_a_file_that_is_no_slot_is_passed_over(
    project: Project, meter: Meter, folder: Path, content: bytes
) -> None:
    (folder / "worker-9").write_bytes(content)
    assert _value(_scrape(project, meter), "mlkit_workers") == 1


def test_what_is_not_a_request_is_counted_too(project: Project, meter: Meter) -> None:
    meter.invalid("churn")
    meter.dropped(5)
    found = _scrape(project, meter, SERVED)
    assert _value(found, "mlkit_validation_failures_total", model="churn") == 1
    assert _value(found, "mlkit_log_dropped_total") == 5
    assert _value(found, "mlkit_model_generation") == 7
    assert _value(found, "mlkit_model_load_seconds", model="churn", version="3") == 0.25
    info = {"model": "churn", "version": "3", "sha256": "ab" * 32, "backend": "linear"}
    assert _value(found, "mlkit_model_info", **info) == 1


def _report(kind: type[Any], project: Project, version: ModelVersion, **fields: Any) -> Any:
    now = project.now()
    return kind(
        model_id=version.model_id, model_version_id=version.id, window_start=now, window_end=now,
        summary="", created_at=now, **fields,
    )  # fmt: skip


def _add_history(project: Project) -> None:
    now = project.now()
    measured = {"metric": "log_loss", "value": 0.4, "limit": 0.5}
    drifted = {"features": [{"name": name} for name in "abcd"], "drifted": ["age"]}
    run: dict[str, Any] = {"job": "backup", "runner": "r", "started_at": now, "heartbeat_at": now}
    with project.write() as s:
        version = s.scalars(select(ModelVersion)).one()
        s.add_all(
            [
                _report(
                    DriftReport, project, version, verdict="drift", details=drifted,
                    reference_rows=1, current_rows=1,
                ),
                _report(
                    PerformanceReport, project, version, verdict="ok", details=measured,
                    rows=1, coverage=1.0,
                ),
                JobRun(**run, due=now, status="ok", ended_at=now - timedelta(hours=1)),
                JobRun(**run, due=now + timedelta(1), status="failed", ended_at=now),
                Alert(
                    key="a", kind="drift", severity="warning", summary="", details={},
                    opened_at=now, last_seen_at=now,
                ),
            ]
        )  # fmt: skip


def test_the_state_of_the_project_is_told(furnished: Project) -> None:
    _add_history(furnished)
    furnished.backups_dir.mkdir(exist_ok=True)
    (furnished.backups_dir / "one.mlkit.tar").touch()
    meter = Meter(furnished.state_dir / "metrics")
    found = _scrape(furnished, meter)
    meter.close()
    assert _value(found, "mlkit_database_up") == 1
    assert _value(found, "mlkit_drift", model="churn") == 1
    assert _value(found, "mlkit_drifted_features", model="churn") == 1
    assert _value(found, "mlkit_drifted_features_ratio", model="churn") == 0.25
    assert _value(found, "mlkit_performance_degraded", model="churn") == 0
    assert _value(found, "mlkit_performance", model="churn", metric="log_loss") == 0.4
    assert _value(found, "mlkit_performance_limit", model="churn", metric="log_loss") == 0.5
    assert _value(found, "mlkit_open_alerts", severity="warning") == 1
    assert _value(found, "mlkit_open_alerts", severity="critical") == 0
    ended = _value(found, "mlkit_job_last_success_timestamp_seconds", job="backup")
    assert ended == pytest.approx((furnished.now() - timedelta(hours=1)).timestamp(), abs=600)
    assert abs(_value(found, "mlkit_backup_age_seconds")) < 600


@pytest.mark.parametrize("trouble", ["gone", "damaged", "locked"])
def test_without_the_database_the_rest_is_told(
    project: Project, meter: Meter, trouble: str
) -> None:
    meter.answered(ROUTE, "churn", 200, 0.01, 1)
    file = project.root / DATABASE_FILE
    project.close()
    with closing(sqlite_driver().connect(file)) as other:
        if trouble == "locked":
            other.execute("PRAGMA journal_mode=DELETE")
            other.execute("BEGIN EXCLUSIVE")
        elif trouble == "gone":
            file.unlink()
        else:
            file.write_bytes(b"nonsense" * 1000)
        found = _scrape(project, meter)
    assert _value(found, "mlkit_database_up") == 0
    assert _value(found, "mlkit_rows_total", model="churn") == 1
    assert not any(name == "mlkit_open_alerts" for name, _ in found)


def test_the_queue_is_the_records_without_the_room_kept_for_more(project: Project) -> None:
    journal = Journal(project.journal_dir, power_safe=False)
    assert backlog.waiting_bytes(project.journal_dir) == 0
    now = project.now()
    for _ in range(3):
        entry = Entry(new_id(now), 1, 1, 1, "champion", 0, 0, ["i"], None, [(1.0,)], [1], None)
        journal.append(entry, now)
    waiting = backlog.waiting_bytes(project.journal_dir)
    closed = journal.close()
    assert closed is not None
    assert 100 < waiting == closed.stat().st_size == backlog.waiting_bytes(project.journal_dir)


@pytest.mark.skipif(which("promtool") is None, reason="promtool is not on the path")
def test_promtool_finds_nothing_to_object_to(furnished: Project) -> None:
    _add_history(furnished)
    meter = Meter(furnished.state_dir / "metrics")
    meter.answered(ROUTE, "churn", 200, 0.01, 1)
    meter.invalid("churn")
    text = Metrics(furnished, meter).render([SERVED], 7)
    meter.close()
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
    assert (done.returncode, done.stderr, done.stdout) == (0, b"", b"")


def test_every_family_has_a_type_and_says_what_it_is(furnished: Project) -> None:
    meter = Meter(furnished.state_dir / "metrics")
    meter.answered(ROUTE, "churn", 200, 0.01, 1)
    text = Metrics(furnished, meter).render([SERVED], 7).decode()
    meter.close()
    assert page.KIND == "text/plain; version=0.0.4; charset=utf-8"
    assert text.endswith("\n")
    for family in text_string_to_metric_families(text):
        assert family.documentation.endswith(".")
        assert family.type != "untyped"
        assert family.name.startswith("mlkit_")
