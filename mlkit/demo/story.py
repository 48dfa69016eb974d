"""What the demo tells: a row per month, and the voice that tells of it while it is played."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mlkit.demo import flights


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
    alerts: tuple[str, ...]
    action: str
    version: int
    reason: str

    @property
    def name(self) -> str:
        """The month as people write it."""
        return flights.month_name(self.month)

    @property
    def outcome(self) -> str:
        """What the loop did and why, in one line."""
        if self.action == "none":
            return f"no alert, v{self.version} stays"
        return f"{' and '.join(self.alerts)} alert, retrained, {self.reason}"


class Requests(msgspec.Struct, frozen=True, kw_only=True):
    """The HTTP requests of the demo; ``meanwhile`` are those sent while jobs ran."""

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
