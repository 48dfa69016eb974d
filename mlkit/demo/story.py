"""What the demo tells: a row per month, and the voice that tells of it while it is played."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec


class Month(msgspec.Struct, frozen=True, kw_only=True):
    """One month: its flights, both errors in minutes, and what the loop did at its end.

    ``action`` is ``none`` (no alert asked for a retraining), ``kept`` or ``promoted``;
    ``version`` is the champion afterwards.
    """

    month: int
    rows: int
    mae_live: float
    mae_frozen: float
    drifted: tuple[str, ...]
    action: str
    version: int
    reason: str

    @property
    def name(self) -> str:
        """The month as people write it."""
        return MONTHS[self.month - 1]


class Requests(msgspec.Struct, frozen=True, kw_only=True):
    """All HTTP requests of the demo; ``while_working`` were sent during jobs and promotions."""

    sent: int
    failed: int
    while_working: int


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """The whole year."""

    months: tuple[Month, ...]
    requests: Requests
    versions: int
    project: Path
    report: Path
    mae_january: float
    seconds: float


@dataclass(frozen=True)
class Voice:
    """Where the demo says what has happened, and what it is doing (with the share that is done)."""

    say: Callable[[str], None]
    now: Callable[[str, float], None]


MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
