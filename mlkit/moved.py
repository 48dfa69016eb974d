"""Paths of modules that have moved: what jobs of older projects import, what stored models name.

Jobs are warned until version 0.3, which forwards them no more. Stored models never change, so
theirs stay.
"""

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

_FOR_JOBS: Final = {
    "mlkit.lateness": ("mlkit.scheduling.lateness", "mlkit.process_alerts(project)"),
    "mlkit.flows.backup": ("mlkit.flows.operations.backup", "mlkit.rotate_backups(project)"),
    "mlkit.flows.champions": (
        "mlkit.flows.registry.champions",
        "mlkit.for_each_champion(project, act)",
    ),
    "mlkit.flows.logs": ("mlkit.flows.log.logs", "mlkit.prune(project)"),
    "mlkit.flows.materialize": (
        "mlkit.flows.features.materialize",
        "mlkit.materialize(project)",
    ),
    "mlkit.flows.monitor": (
        "mlkit.flows.monitoring.monitor",
        "mlkit.check_drift(project, model), mlkit.check_performance(project, model)",
    ),
    "mlkit.flows.online": (
        "mlkit.flows.features.online",
        "mlkit.get_features(project, view, entities)",
    ),
    "mlkit.flows.retrain": ("mlkit.flows.training.retrain", "mlkit.retrain_if_due(project, model)"),
    "mlkit.flows.upkeep": ("mlkit.flows.operations.upkeep", "mlkit.process_alerts(project)"),
}
_FOR_MODELS: Final = {
    "mlkit.steps.contiguous": "mlkit.steps.training.contiguous",
    "mlkit.steps.expand": "mlkit.steps.inputs.expand",
}


class _Forwarder(MetaPathFinder, Loader):
    """Finds modules by their old paths, once nothing else has found them."""

    def find_spec(self, name: str, *_: Sequence[str] | ModuleType | None) -> ModuleSpec | None:
        known = name in _FOR_JOBS or name in _FOR_MODELS
        return ModuleSpec(name, self) if known else None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        if name in _FOR_JOBS:
            path, instead = _FOR_JOBS[name]
            warn(name, instead)
        else:
            path = _FOR_MODELS[name]
        sys.modules[name] = importlib.import_module(path)


def warn(name: str, instead: str) -> None:
    """Tell whoever imports ``name`` what to write instead."""
    message = f"{name} has moved and will be gone in 0.3; import mlkit and call {instead}"
    warnings.warn(message, DeprecationWarning, stacklevel=3)


def forward() -> None:
    """Let the old paths be imported."""
    sys.meta_path.append(_Forwarder())
