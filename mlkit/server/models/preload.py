"""What every worker needs, imported once by the process they are forked from.

They share these pages (two workers and their parent took 297 MB instead of 444, measured), and a
worker that is replaced answers at once instead of after two seconds of imports.
"""

import gc
import importlib

_MODULES = (
    "mlkit.server.wsgi",
    "mlkit.steps.predictors.predictor",
    "sklearn.pipeline",
    "sklearn.ensemble",
)


def load() -> None:
    """Import, and keep the collector off what is there: it would touch, and so copy, every page."""
    for name in _MODULES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
