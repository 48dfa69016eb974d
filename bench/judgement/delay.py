"""How soon each rule sees a change whose beginning is known, in windows one after the other."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import cases
import numpy as np
import rules

ROWS = 1_000  # of a window


class Delay(NamedTuple):
    """What a rule made of one stream: alarms before and after the change."""

    stream: str
    rule: str
    windows_before: int
    alarms_before: int
    windows_after: int
    alarms_after: int
    rows_until_the_first: int | None


def of_stream(name: str, place: int, folder: Path) -> list[Delay]:
    """Return what each rule makes of the stream of this name and number."""
    known, rows, change = cases.stream(name, place, folder)
    judge = rules.judge_all(known)
    starts = np.arange(0, len(rows) - ROWS + 1, ROWS)
    opinions = [judge(rows[start : start + ROWS]) for start in starts]
    return [
        _of(name, rule, change, zip(starts, (found[rule].alarm for found in opinions), strict=True))
        for rule in rules.NAMES
    ]


def _of(stream: str, rule: str, change: int, found: Iterable[tuple[int, bool]]) -> Delay:
    """Count a window as one after the change if any of its rows is."""
    ends, alarms = np.array([(start + ROWS, alarm) for start, alarm in found]).T
    after = ends > change
    late = ends[after & (alarms > 0)]
    return Delay(
        stream,
        rule,
        int((~after).sum()),
        int(alarms[~after].sum()),
        int(after.sum()),
        int(alarms[after].sum()),
        int(late[0]) - change if len(late) else None,
    )
