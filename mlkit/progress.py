"""Progress messages of long work: a line for each step."""

from collections.abc import Callable

Progress = Callable[[str], None]
"""Receives one line, such as "fitting linear"."""


def silent(_message: str) -> None:
    """Report nothing."""
