"""The page for Prometheus: any worker collects it from all workers, the database and folders."""

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest

from mlkit.errors import MlkitError
from mlkit.flows.operations import gauges
from mlkit.flows.operations.gauges import Gauges
from mlkit.project import Project
from mlkit.server.metrics import families, meter, slots
from mlkit.server.metrics.families import Served, gauge
from mlkit.server.metrics.meter import Meter
from mlkit.server.metrics.slots import Snapshot
from mlkit.server.rights import UNRESTRICTED, Rights
from mlkit.store import backlog
from mlkit.store.dialects import database_errors

KIND: Final = "text/plain; version=0.0.4; charset=utf-8"
_FRESH_S: Final = 5.0


class Metrics:
    """Answer ``GET /metrics``."""

    def __init__(self, project: Project, meter: Meter) -> None:
        self._project = project
        self._meter = meter
        self._lock = threading.Lock()
        self._gauges: Gauges | None = None
        self._fresh_until = 0.0

    def render(
        self, served: Iterable[Served], generation: int, rights: Rights = UNRESTRICTED
    ) -> bytes:
        """Return the metrics in text format 0.0.4; the media type is ``KIND``.

        Those of the processes, and of the models and jobs that ``rights`` covers. ``served`` and
        ``generation`` are this worker's. If the database cannot be read, its metrics are missing
        and ``mlkit_database_up`` is 0.
        """
        return generate_latest(_Collected(list(self._families(served, generation, rights))))

    def _families(
        self, served: Iterable[Served], generation: int, rights: Rights
    ) -> Iterator[Metric]:
        snapshots = self._snapshots()
        if not rights.whole:
            snapshots = [_visible(each, rights) for each in snapshots]
        yield from families.traffic(snapshots)
        yield from families.features(snapshots)
        yield from families.workers(snapshots)
        yield from families.models(served, generation if rights.whole else None)
        found = self._project_gauges()
        yield gauge("mlkit_database_up", "Whether the database could be read.", found is not None)
        if found is not None:
            found = found if rights.whole else found.of_models(rights.sees)
            yield from families.checks(found)
            yield from families.operations(found)
        yield from self._files()
        yield families.build_info()

    def _snapshots(self) -> list[Snapshot]:
        own = self._meter.slot.snapshot()
        others = [each for each in slots.read(self._meter.folder) if each.name != own.name]
        return [own, *others]

    def _project_gauges(self) -> Gauges | None:
        """Return the figures from the database, cached for a few seconds, None if it fails."""
        with self._lock:
            if time.monotonic() >= self._fresh_until:
                try:
                    self._gauges = gauges.read(self._project)
                except (MlkitError, database_errors.UNTRANSLATED):  # see mlkit_database_up
                    self._gauges = None
                self._fresh_until = time.monotonic() + _FRESH_S
            return self._gauges

    def _files(self) -> Iterator[Metric]:
        waiting = backlog.waiting_bytes(self._project.journal_dir)
        yield gauge(
            "mlkit_log_queue_bytes", "Predictions that are not in the database yet.", waiting
        )
        age = gauges.backup_age_s(self._project)
        if age is not None:
            yield gauge("mlkit_backup_age_seconds", "Age of the newest backup.", age)


def _visible(snapshot: Snapshot, rights: Rights) -> Snapshot:
    """Return the series of a slot that ``rights`` covers, and those of its process."""
    series = {
        key: cells
        for key, cells in snapshot.series.items()
        if (model := meter.model_of(key)) is None or rights.sees(model)
    }
    return snapshot._replace(series=series)


class _Collected(NamedTuple):
    """The metric families as a collector of ``prometheus_client``."""

    families: list[Metric]

    def collect(self) -> list[Metric]:
        return self.families
