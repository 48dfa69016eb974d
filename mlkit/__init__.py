"""The whole machine-learning feedback loop for a small team on one machine.

What is public is in ``__all__``; it is loaded when it is used. All else may change.
"""

from typing import TYPE_CHECKING

from mlkit import moved

if TYPE_CHECKING:
    from mlkit.api import (
        check_drift,
        check_performance,
        create_backup,
        for_each_champion,
        get_features,
        materialize,
        open_project,
        predict,
        process_alerts,
        promote,
        prune,
        retrain_if_due,
        rollback,
        rotate_backups,
        train,
    )
    from mlkit.errors import MlkitError
    from mlkit.features import feature_view, on_demand, sql_view
    from mlkit.project import Project
    from mlkit.timetable import Job

__version__ = "0.2.0"
__all__ = [
    "Job",
    "MlkitError",
    "Project",
    "check_drift",
    "check_performance",
    "create_backup",
    "feature_view",
    "for_each_champion",
    "get_features",
    "materialize",
    "on_demand",
    "open_project",
    "predict",
    "process_alerts",
    "promote",
    "prune",
    "retrain_if_due",
    "rollback",
    "rotate_backups",
    "sql_view",
    "train",
]

_ELSEWHERE = {
    "Job": "timetable",
    "MlkitError": "errors",
    "Project": "project",
    "feature_view": "features",
    "on_demand": "features",
    "sql_view": "features",
}

moved.forward()


def __getattr__(name: str) -> object:
    """Load a public name (PEP 562): importing the package costs nothing else."""
    if name not in __all__:
        raise AttributeError(f"module 'mlkit' has no attribute {name!r}")
    import importlib

    found: object = getattr(importlib.import_module(f"mlkit.{_ELSEWHERE.get(name, 'api')}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
