"""How soon each rule sees a change whose beginning is known."""

from pathlib import Path
from typing import NamedTuple

import cases
import numpy as np
import rules

ROWS = 1_000


class Delay(NamedTuple):
    """What a rule made of the windows of a file, one after the other."""

    rule: str
    windows_before: int
    alarms_before: int
    windows_after: int
    alarms_after: int
    rows_until_the_first: int | None


def measure(folder: Path) -> list[Delay]:
    """Return the delay of each rule; nothing if the file is not there."""
    found = cases.onset(folder)
    if found is None:
        return []
    values, end, change = found
    return [_of(name, values, end, change) for name in rules.RULES]


def _of(name: str, values: np.ndarray, end: int, change: int) -> Delay:
    judge = rules.RULES[name](values[:end], 1.0)
    starts = range(end, len(values) - ROWS + 1, ROWS)
    alarms = np.array([judge(values[start : start + ROWS]).alarm for start in starts])
    before, after = (np.array(starts) < change), (np.array(starts) >= change)
    late = np.flatnonzero(alarms[after])
    return Delay(
        name,
        int(before.sum()),
        int(alarms[before].sum()),
        int(after.sum()),
        int(alarms[after].sum()),
        None if not len(late) else int((late[0] + 1) * ROWS),
    )
