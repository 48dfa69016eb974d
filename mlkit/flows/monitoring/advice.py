"""The next step after a verdict, as a reason and a command."""

import math
from datetime import datetime, timedelta
from typing import Any

import msgspec

_LONGER = timedelta(days=7)  # the window to suggest after too few rows, at least
_OVERDUE = 2  # windows without a check


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict of one kind in one sentence, the next step and its command.

    ``verdict`` is ``none`` before the first check; ``why`` and ``command`` are empty if there is
    nothing to do.
    """

    kind: str
    verdict: str
    said: str
    at: datetime | None
    why: str = ""
    command: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The part of the newest report about the champion that advice needs."""

    verdict: str
    summary: str
    at: datetime
    window: timedelta
    details: dict[str, Any]


def on_nothing(model: str) -> Advice:
    """Return what to do while no version serves."""
    return Advice(
        kind="champion",
        verdict="none",
        said="no version serves, so there is nothing to watch",
        at=None,
        why="choose one, then: mlkit model promote " + model + " VERSION",
        command=f"mlkit model show {model}",
    )


def on_drift(model: str, found: Verdict | None, *, error: Advice, now: datetime) -> Advice:
    """Return what to do about the inputs, given the advice on the error."""
    check = f"mlkit drift check {model}"
    if found is None:
        return _unchecked("drift", "what the champion is asked has not been checked yet", check)
    missing = [
        test["column"]
        for test in found.details.get("features", ())
        if test.get("drifted") and test.get("kind") == "missing"
    ]
    if found.verdict == "drift" and missing:
        next_step = "look upstream: what is missing moved", f"mlkit log show {model}"
    elif found.verdict == "drift" and error.verdict == "degraded":
        next_step = f"the error grew as well: {error.why}", error.command
    elif found.verdict == "drift":
        next_step = (
            "moved inputs alone are no harm: see whether the error grew",
            (f"mlkit perf check {model}"),
        )
    else:
        next_step = _longer(check, found) if found.verdict == "insufficient_data" else ("", "")
    return _said("drift", found, _overdue(check, found, now) or next_step)


def on_performance(model: str, found: Verdict | None, *, now: datetime) -> Advice:
    """Return what to do about the error."""
    check = f"mlkit perf check {model}"
    if found is None:
        return _unchecked("performance", "the champion's answers have not been checked yet", check)
    next_step = ("", "")
    if found.verdict == "degraded" and "upstream" in found.details.get("diagnosis", ""):
        next_step = "look upstream before anything is retrained", f"mlkit log show {model}"
    elif found.verdict == "degraded":
        next_step = "learn from newer rows; it is promoted only if better", f"mlkit retrain {model}"
    elif found.verdict == "insufficient_data" and not found.details.get("rows"):
        next_step = "tell what really happened", "mlkit actual add FILE"
    elif found.verdict == "insufficient_data":
        next_step = _longer(check, found)
    return _said("performance", found, _overdue(check, found, now) or next_step)


def _unchecked(kind: str, said: str, check: str) -> Advice:
    return Advice(kind=kind, verdict="none", said=said, at=None, why="check it", command=check)


def _said(kind: str, found: Verdict, next_step: tuple[str, str]) -> Advice:
    why, command = next_step
    return Advice(
        kind=kind, verdict=found.verdict, said=found.summary, at=found.at, why=why, command=command
    )


def _overdue(check: str, found: Verdict, now: datetime) -> tuple[str, str] | None:
    """Return the advice to check again if the verdict is old, else None."""
    if now - found.at <= _OVERDUE * max(found.window, timedelta(days=1)):
        return None
    return f"that was {(now - found.at).days} days ago: check again", check


def _longer(check: str, found: Verdict) -> tuple[str, str]:
    days = math.ceil(max(_LONGER, 2 * found.window) / timedelta(days=1))
    return "look at a longer time", f"{check} --window {days}d"
