"""Progress messages of long work: a line for each step."""

from collections.abc import Callable

Progress = Callable[[str], None]
"""Receives one line, such as "fitting linear"."""

BytesRead = Callable[[str, int, int], None]
"""Takes what is done, and how many bytes of how many are behind (0 of 0: unknown)."""


def silent(_message: str) -> None:
    """Report nothing."""
