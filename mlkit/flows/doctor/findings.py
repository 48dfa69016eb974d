"""The findings of the checks of ``mlkit doctor``."""

from typing import Literal, NamedTuple

Level = Literal["ok", "warn", "fail"]


class Finding(NamedTuple):
    """The severity, what was found, and the fix."""

    level: Level
    found: str
    fix: str = ""


def ok(found: str) -> Finding:
    """Return a finding that needs no action."""
    return Finding("ok", found)


def warn(found: str, fix: str = "") -> Finding:
    """Return a finding that will cause a failure later."""
    return Finding("warn", found, fix)


def fail(found: str, fix: str = "") -> Finding:
    """Return a finding that is a failure now."""
    return Finding("fail", found, fix)
