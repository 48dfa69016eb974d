"""Limit the threads of the numeric libraries: one thread is faster for few rows.

OpenMP threads wait for each other by spinning: on a busy machine a fit of 2,000 rows took 30 s with
two threads and 0.2 s with one (measured).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from threadpoolctl import threadpool_limits

_FEW_ROWS: Final = 50_000


@contextmanager
def fit_for(rows: int) -> Iterator[None]:
    """Use one thread inside the block if ``rows`` are few, else the libraries' default."""
    with threadpool_limits(limits=1 if rows < _FEW_ROWS else None):
        yield
