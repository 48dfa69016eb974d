"""The name, labels and help text of every metric; the values are collected elsewhere."""

import os
import platform
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version as installed
from itertools import accumulate
from pathlib import Path
from typing import Final, NamedTuple

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from mlkit import __version__
from mlkit.flows.features.looked_up import OUTCOMES
from mlkit.flows.operations.gauges import Gauges
from mlkit.server.metrics import meter
from mlkit.server.metrics.slots import Key, Snapshot

_VERDICTS: Final = {"ok": 0, "drift": 1, "degraded": 1}
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_USER, _SYSTEM = 11, 12  # places in /proc/PID/stat after the command name; see proc(5)
_BOUNDS: Final = (*(str(bound) for bound in meter.BOUNDS_S), "+Inf")

Labelled = Iterable[tuple[Sequence[str], float]]


class Served(NamedTuple):
    """One version that is loaded in the worker that answers ``/metrics``."""

    model: str
    version: int
    sha256: str
    backend: str
    load_s: float


def gauge(name: str, says: str, value: float) -> Metric:
    """Return a gauge without labels."""
    return GaugeMetricFamily(name, says, value=float(value))


def traffic(snapshots: Collection[Snapshot]) -> Iterator[Metric]:
    """Yield the counts of requests and answers, summed over all workers, dead ones included."""
    summed = _sum(snapshots, meter.ANSWERED)
    answered = {key: cells for key, cells in summed.items() if any(cells)}
    invalid = _sum(snapshots, meter.INVALID)
    requests = {key: sum(cells[: meter.SECONDS]) for key, cells in answered.items()}
    rows: Counter[str] = Counter()
    for (_, model, _), cells in answered.items():
        rows[model] += int(cells[meter.ROWS])
    yield _counters(
        "mlkit_requests_total", "Requests answered.", ("route", "model", "status"), requests.items()
    )
    yield _histogram(answered)
    yield _counters(
        "mlkit_rows_total", "Predictions made.", ("model",),
        (((model,), count) for model, count in rows.items() if model),
    )  # fmt: skip
    yield _counters(
        "mlkit_validation_failures_total", "Requests whose rows the model's schema refused.",
        ("model",), ((key, cells[0]) for key, cells in invalid.items() if cells[0]),
    )  # fmt: skip
    failing = _sum(snapshots, meter.RULES)
    yield _counters(
        "mlkit_rule_violations_total", "Rows that break a rule of the training data.",
        ("model", "columns"), ((key, cells[0]) for key, cells in failing.items() if cells[0]),
    )  # fmt: skip
    lost = requests.get((meter.OTHER, meter.OTHER, "0"), 0.0)
    yield CounterMetricFamily(
        "mlkit_series_overflow_total", "Requests counted as (other), for lack of room.", value=lost
    )
    dropped = sum(cells[meter.DROPPED] for cells in _sum(snapshots, meter.WORKER).values())
    yield CounterMetricFamily(
        "mlkit_log_dropped_total", "Predictions answered but not logged.", value=dropped
    )


def features(snapshots: Collection[Snapshot]) -> Iterator[Metric]:
    """Yield the outcomes of feature lookups."""
    summed = _sum(snapshots, meter.LOOKED_UP)
    yield _counters(
        "mlkit_feature_rows_total",
        "Rows by what the feature view had for them; given: the client sent its columns.",
        ("model", "view", "outcome"),
        (
            ((*key, outcome), count)
            for key, cells in summed.items()
            for outcome, count in zip(OUTCOMES, cells, strict=False)
            if count
        ),
    )


def workers(snapshots: Collection[Snapshot]) -> Iterator[Metric]:
    """Yield the state of the living workers."""
    living = {each.name.removeprefix("worker-"): each for each in snapshots if each.pid is not None}
    in_flight = sum(
        cells[meter.IN_FLIGHT] for cells in _sum(living.values(), meter.WORKER).values()
    )
    yield gauge("mlkit_requests_in_flight", "Requests that are being answered.", in_flight)
    yield gauge("mlkit_workers", "Processes that answer.", len(living))
    memory, cpu = [], []
    for name, each in living.items():
        used = _used(each.pid)
        if used is not None:
            memory.append(((name,), used[0]))
            cpu.append(((name,), used[1]))
    yield _gauges(
        "mlkit_resident_bytes", "Memory, shared pages by share (PSS).", ("worker",), memory
    )
    yield _counters("mlkit_cpu_seconds_total", "Processor time.", ("worker",), cpu)


def models(served: Iterable[Served], generation: int | None) -> Iterator[Metric]:
    """Yield the versions of this worker, and the generation unless it is None."""
    found = list(served)
    yield _gauges(
        "mlkit_model_info", "The version that answers.", ("model", "version", "sha256", "backend"),
        (((m.model, str(m.version), m.sha256, m.backend), 1) for m in found),
    )  # fmt: skip
    yield _gauges(
        "mlkit_model_load_seconds", "How long loading the version took.", ("model", "version"),
        (((m.model, str(m.version)), m.load_s) for m in found),
    )  # fmt: skip
    if generation is not None:
        yield gauge(
            "mlkit_model_generation", "The last deployment that this worker follows.", generation
        )


def checks(found: Gauges) -> Iterator[Metric]:
    """Yield the latest drift and performance verdicts of the champions."""
    by_model = ("model",)
    yield _gauges(
        "mlkit_drift", "Newest drift verdict: 1 drift, 0 ok, -1 too little data.", by_model,
        (((name,), _VERDICTS.get(d.verdict, -1)) for name, d in found.drift.items()),
    )  # fmt: skip
    yield _gauges(
        "mlkit_drifted_features", "Features that drifted.", by_model,
        (((name,), d.drifted) for name, d in found.drift.items()),
    )  # fmt: skip
    yield _gauges(
        "mlkit_drifted_features_ratio", "Share of the features that drifted.", by_model,
        (((name,), d.drifted / d.features) for name, d in found.drift.items() if d.features),
    )  # fmt: skip
    yield _gauges(
        "mlkit_performance_degraded",
        "Newest performance verdict: 1 degraded, 0 ok, -1 too little data.", by_model,
        (((name,), _VERDICTS.get(p.verdict, -1)) for name, p in found.performance.items()),
    )  # fmt: skip
    measured = [
        ((name, p.metric), p.value, p.limit)
        for name, p in found.performance.items()
        if p.metric is not None and p.value is not None and p.limit is not None
    ]
    by_metric = ("model", "metric")
    yield _gauges(
        "mlkit_performance", "The newest loss.", by_metric,
        ((labels, value) for labels, value, _ in measured),
    )  # fmt: skip
    yield _gauges(
        "mlkit_performance_limit", "The loss up to which performance is ok.", by_metric,
        ((labels, limit) for labels, _, limit in measured),
    )  # fmt: skip


def operations(found: Gauges) -> Iterator[Metric]:
    """Yield the state of jobs and alerts."""
    yield _gauges(
        "mlkit_job_last_success_timestamp_seconds", "When the job last ended well.", ("job",),
        (((job,), ended.timestamp()) for job, ended in found.job_successes.items()),
    )  # fmt: skip
    yield _gauges(
        "mlkit_open_alerts", "Alerts that have not ended.", ("severity",),
        (((severity,), sum(by_model.values())) for severity, by_model in found.open_alerts.items()),
    )  # fmt: skip


@cache
def build_info() -> Metric:
    """Return the versions of mlkit, Python and scikit-learn."""
    labels = (__version__, platform.python_version(), installed("scikit-learn"))
    return _gauges(
        "mlkit_build_info", "The program.", ("version", "python", "scikit_learn"), [(labels, 1)]
    )


def _sum(snapshots: Collection[Snapshot], kind: str) -> dict[Key, list[float]]:
    """Return the sums of the series of ``kind`` over all slots, by their labels."""
    found: dict[Key, list[float]] = {}
    for snapshot in snapshots:
        for (of, *labels), cells in snapshot.series.items():
            if of == kind:
                before = found.get(tuple(labels), [0.0] * len(cells))
                found[tuple(labels)] = [a + b for a, b in zip(before, cells, strict=True)]
    return found


def _histogram(answered: Mapping[Key, list[float]]) -> Metric:
    summed: dict[tuple[str, str], list[float]] = {}
    for (route, model, _), cells in answered.items():
        before = summed.get((route, model), [0.0] * len(cells))
        summed[route, model] = [a + b for a, b in zip(before, cells, strict=True)]
    family = HistogramMetricFamily(
        "mlkit_request_seconds", "Time from request to answer.", labels=("route", "model")
    )
    for labels, cells in summed.items():
        counts = accumulate(cells[: meter.SECONDS])
        family.add_metric(
            labels, list(zip(_BOUNDS, counts, strict=True)), sum_value=cells[meter.SECONDS]
        )
    return family


def _gauges(name: str, says: str, labels: Sequence[str], samples: Labelled) -> Metric:
    family = GaugeMetricFamily(name, says, labels=labels)
    for values, number in samples:
        family.add_metric(values, float(number))
    return family


def _counters(name: str, says: str, labels: Sequence[str], samples: Labelled) -> Metric:
    family = CounterMetricFamily(name, says, labels=labels)
    for values, number in samples:
        family.add_metric(values, float(number))
    return family


def _used(pid: int | None) -> tuple[int, float] | None:
    """Return memory in bytes and CPU seconds of a process, None if they cannot be read."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has just ended, or the machine hides it
        return None
    pss = next((line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:")), "0")
    return int(pss) * 1024, (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS
