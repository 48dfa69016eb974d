"""Feature views: declared in ``features.py``, joined as of a time, materialized, read online.

Plain columns of one dataset need none of this (``data``).
"""

from mlkit import moved


def __getattr__(name: str) -> object:
    """Forward the name that the job ``materialize`` of version 0.1 uses."""
    if name != "exists":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mlkit.flows.features import declarations

    moved.warn(f"{__name__}.exists", "mlkit.materialize(project)")
    return declarations.exists
