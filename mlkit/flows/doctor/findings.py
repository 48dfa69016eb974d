"""What a check of ``mlkit doctor`` says."""

from typing import Literal, NamedTuple

Level = Literal["ok", "warn", "fail"]


class Finding(NamedTuple):
    """How bad it is, what was found, and what mends it."""

    level: Level
    found: str
    fix: str = ""


def ok(found: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding("ok", found)


def warn(found: str, fix: str = "") -> Finding:
    """Return a finding that will hurt one day."""
    return Finding("warn", found, fix)


def fail(found: str, fix: str = "") -> Finding:
    """Return a finding that hurts now."""
    return Finding("fail", found, fix)
