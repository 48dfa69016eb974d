"""The state of the feature views of a server: for ``/readyz``, and alerts on missing features."""

import time
from collections import deque
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from mlkit.flows.alerts import alerting
from mlkit.flows.features import freshness, other_code
from mlkit.flows.features.looked_up import OUTCOMES
from mlkit.project import Project
from mlkit.server.metrics import meter, slots
from mlkit.settings.table import duration
from mlkit.store import alerts

_FRESH_S: Final = 2.0

Counts = Mapping[tuple[str, str], tuple[float, ...]]
"""Rows by outcome, for each model and view."""


class Troubles:
    """Problems of the feature views that champions need, cached for two seconds.

    The models answer nevertheless, by the policies of the views: degraded, not down.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._known: dict[str, str] = {}
        self._fresh_until = 0.0

    def now(self) -> dict[str, str]:
        """Return the problems by view and version, or by transformation."""
        if time.monotonic() >= self._fresh_until:
            with suppress(Exception):  # a database that fails is reported elsewhere
                found = freshness.troubles(self._project)
                views = {f"{t.view} v{t.version}": t.text for t in found}
                self._known = views | other_code.troubles(self._project)
            self._fresh_until = time.monotonic() + _FRESH_S
        return self._known


class MissingShares:
    """Raise alerts about models for which the online store often has no fresh value.

    Counts the rows of all workers within ``features.window``.
    """

    def __init__(self, project: Project, folder: Path) -> None:
        self._project = project
        self._folder = folder
        self._window_s = duration(project.settings.features.window).total_seconds()
        self._since = time.monotonic()
        self._past: deque[tuple[float, Counts]] = deque([(time.monotonic(), {})])

    def check(self) -> None:
        """Raise an alert for each model whose missing share is too large; resolve the others.

        An alert about a model that hardly gets requests any more ends once a whole window had too
        few rows to judge.
        """
        now, counted = time.monotonic(), _count(self._folder)
        self._past.append((now, counted))
        while now - self._past[1][0] >= self._window_s:
            self._past.popleft()
        shares: dict[str, dict[str, float]] = {}
        for (model, view), cells in counted.items():
            before = self._past[0][1].get((model, view), (0.0,) * len(OUTCOMES))
            share = self._share([a - b for a, b in zip(cells, before, strict=True)])
            if share is not None:
                shares.setdefault(model, {})[view] = share
        for model, by_view in shares.items():
            self._judge(model, by_view)
        if now - self._since >= self._window_s:
            self._end_others(shares)

    def _end_others(self, judged: Collection[str]) -> None:
        with self._project.read() as s:
            ongoing = [each.model for each in alerts.ongoing(s, kinds=("features",))]
        for model in ongoing:
            if model not in judged:
                settings = self._project.settings.features
                few = f"fewer than {settings.min_rows} rows in the last {settings.window}"
                alerting.resolve(self._project, f"features:{model}", few)

    def _share(self, rows: list[float]) -> float | None:
        """Return the share of rows without a fresh value, None if there are too few to judge."""
        total = sum(rows)
        if total < self._project.settings.features.min_rows:
            return None
        by_outcome = dict(zip(OUTCOMES, rows, strict=True))
        return (by_outcome["stale"] + by_outcome["absent"]) / total

    def _judge(self, model: str, shares: Mapping[str, float]) -> None:
        limit = self._project.settings.features.max_missing
        missing = {view: share for view, share in shares.items() if share > limit}
        if not missing:
            alerting.resolve(
                self._project, f"features:{model}", "the views have fresh values again"
            )
            return
        window = self._project.settings.features.window
        listed = ", ".join(f"{view} for {share:.0%}" for view, share in sorted(missing.items()))
        alerting.raise_alert(
            self._project,
            key=f"features:{model}",
            kind="features",
            severity="warning",
            model=model,
            summary=f"{model} answered without fresh features in the last {window}: {listed} of "
            f"its rows (features.max_missing is {limit:.0%})",
            details={"missing": missing},
        )


def _count(folder: Path) -> Counts:
    found: dict[tuple[str, str], tuple[float, ...]] = {}
    for snapshot in slots.read(folder):
        for (kind, *labels), cells in snapshot.series.items():
            if kind == meter.LOOKED_UP:
                key = (labels[0], labels[1])
                before = found.get(key, (0.0,) * len(OUTCOMES))
                found[key] = tuple(a + b for a, b in zip(before, cells, strict=False))
    return found
