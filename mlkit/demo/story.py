"""What the demo tells: a row per month, and the voice that tells of it while it is played."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from mlkit.demo import flights

_SHORT = {
    "it is worse": "the candidate is worse",
    "interval includes 0": "the candidate is not clearly better",
}

Action = Literal["none", "kept", "promoted"]


class Raised(msgspec.Struct, frozen=True):
    """An alert that was open when the retraining was due: drift or performance."""

    kind: str
    summary: str


class Month(msgspec.Struct, frozen=True, kw_only=True):
    """One month: its flights, the errors in minutes, and what the loop did at its end.

    ``action`` is ``none`` (no alert asked for a retraining), ``kept`` or ``promoted``;
    ``version`` is the champion afterwards.
    """

    month: int
    rows: int
    mae_live: float
    mae_frozen: float
    drifted: tuple[str, ...]
    alerts: tuple[Raised, ...]
    action: Action
    version: int
    reason: str

    @property
    def name(self) -> str:
        """The month as people write it."""
        return flights.month_name(self.month)

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
    mae_january: float
    slowest_swap_s: float
    seconds: float


@dataclass(frozen=True)
class Voice:
    """Where the demo says what has happened, and what it does now with the share that is done."""

    say: Callable[[str], None]
    now: Callable[[str, float], None]
