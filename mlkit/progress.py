"""What long work tells of itself while it goes on: a line for each step."""

from collections.abc import Callable

Progress = Callable[[str], None]
"""Takes one line, such as "fitting linear"."""


def silent(_message: str) -> None:
    """Tell nothing."""
