"""What the demo tells: a row per month, and the voice that tells of it while it is played."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from mlkit.demo import flights
from mlkit.progress import Progress

_NAMED = 3  # features that fit into a table
_SHORT = {
    "it is worse": "the candidate is worse",
    "interval includes 0": "the candidate is not clearly better",
}

Action = Literal["none", "kept", "promoted"]
Drift = Literal[
    "nothing",
    "input drift",
    "concept drift",
    "input drift, error grew",
    "base rate moved, error grew",
    "error grew, inputs unclear",
    "too few rows",
]
"""What moved: the inputs, what they mean (the error grew although they did not), or both."""


class Raised(msgspec.Struct, frozen=True):
    """An alert that was open when the retraining was due: drift or performance."""

    kind: str
    summary: str


class Month(msgspec.Struct, frozen=True, kw_only=True):
    """One month: its flights, the errors in minutes, and what the loop did at its end.

    ``drift`` says what moved, ``diagnosis`` what the performance check made of it.
    ``action`` is ``none`` (no alert asked for a retraining), ``kept`` or ``promoted``;
    ``version`` is the champion afterwards.
    """

    month: int
    rows: int
    mae_live: float
    mae_frozen: float
    drift: Drift
    drifted: tuple[str, ...]
    diagnosis: str
    alerts: tuple[Raised, ...]
    action: Action
    version: int
    reason: str

    @property
    def name(self) -> str:
        """The month as people write it."""
        return flights.month_name(self.month)

    @property
    def moved(self) -> str:
        """What moved, with the names of the features that did."""
        more = f" and {len(self.drifted) - _NAMED} more" if len(self.drifted) > _NAMED else ""
        return (
            f"{self.drift}: {', '.join(self.drifted[:_NAMED])}{more}"
            if self.drifted
            else self.drift
        )

    @property
    def said(self) -> str:
        """What the loop did and on which evidence."""
        if self.action == "none":
            return f"no alert, v{self.version} stays"
        return f"retrained, {self.action} v{self.version}: {self.reason}"

    @property
    def outcome(self) -> str:
        """What the loop did and why, in one line."""
        if self.action == "none":
            return self.said
        return f"{' and '.join(alert.kind for alert in self.alerts)} alert, {self.said}"

    @property
    def short_outcome(self) -> str:
        """The same without the numbers, as it fits into a table."""
        if self.action == "none":
            return self.said
        why = ", ".join(alert.kind for alert in self.alerts)
        done = f"{why}: retrained, {self.action} v{self.version}"
        if self.action == "promoted":
            return done
        known = [text for end, text in _SHORT.items() if self.reason.endswith(end)]
        return f"{done}: {known[0] if known else self.reason}"


class Requests(msgspec.Struct, frozen=True, kw_only=True):
    """The HTTP requests of the demo; ``meanwhile`` are those sent during retraining."""

    sent: int
    failed: int
    meanwhile: int


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """The whole year; ``mae_january`` is what v1 reached on the end of its own month."""

    months: tuple[Month, ...]
    requests: Requests
    versions: int
    project: Path
    report: Path
    model_page: Path
    mae_january: float
    slowest_swap_s: float
    seconds: float


def name_drift(
    inputs: str, error: str, *, unclear: bool = False, base_moved: bool = False
) -> Drift:
    """Return what moved by the verdicts on the inputs and on the error.

    ``unclear`` says that some input could not be judged, ``base_moved`` that the actual values are
    others: where the error grew, either is reason not to speak of concept drift.

    >>> name_drift("ok", "degraded"), name_drift("drift", "ok")
    ('concept drift', 'input drift')
    """
    if error != "degraded":
        if inputs == "drift":
            return "input drift"
        return "nothing" if "ok" in (inputs, error) else "too few rows"
    if inputs == "drift":
        return "input drift, error grew"
    if unclear or inputs == "insufficient_data":
        return "error grew, inputs unclear"
    return "base rate moved, error grew" if base_moved else "concept drift"


@dataclass(frozen=True)
class Voice:
    """Where the demo says what has happened, and what it does now with the share that is done."""

    say: Progress
    now: Callable[[str, float], None]
