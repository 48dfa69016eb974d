"""The opinions of a run as tables."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from delay import Delay
from rules import BUDGET_CHECKS

Opinions = Sequence[dict[str, Any]]

BUDGET = 1 / BUDGET_CHECKS
MOST = 1.2 * BUDGET


def render(found: Opinions, delays: Sequence[Delay]) -> str:
    """Return the tables as markdown."""
    names = list(dict.fromkeys(each["rule"] for each in found))
    parts = [
        f"Budget: {BUDGET:.2%} of the checks may alarm: one false alarm in {BUDGET_CHECKS}.",
        "",
        "### False alarms: share of windows without any change that alarm",
        "",
        *_table(_false_alarms(found, names), ("data", "rows", "windows", *names)),
        "",
        "### Changes found: one feature of twenty changes",
        "",
        "In brackets: with the rule's threshold set afterwards so that it alarms on this data, "
        f"unchanged, in {BUDGET:.2%} of the windows; for mlkit the verdict as it is.",
        "",
        *_table(_power(found, names), ("data", "change", "rows", "windows", *names)),
        "",
        "### Delay: car loans, in which four of seven features shift at a known row",
        "",
        *_table(_delays(delays), ("rule", "alarms before", "alarms after", "rows until the first")),
    ]
    return "\n".join(parts) + "\n"


def _false_alarms(found: Opinions, names: Sequence[str]) -> Iterable[list[str]]:
    for null, rows in dict.fromkeys((o["null"], o["rows"]) for o in found if not o["change"]):
        cells = [_alarms(found, name, null, "", rows) for name in names]
        shares = [f"{np.mean(cell):.1%}{'' if np.mean(cell) <= MOST else ' (!)'}" for cell in cells]
        yield [null, f"{rows:,}", str(len(cells[0])), *shares]


def _power(found: Opinions, names: Sequence[str]) -> Iterable[list[str]]:
    keys = dict.fromkeys((o["null"], o["change"], o["rows"]) for o in found if o["change"])
    for null, change, rows in keys:
        cells = []
        for name in names:
            share = f"{np.mean(_alarms(found, name, null, change, rows)):.0%}"
            fair = _fair_power(found, name, null, change, rows)
            cells.append(share if name == "mlkit" else f"{share} ({fair:.0%})")
        count = len(_alarms(found, names[0], null, change, rows))
        yield [null, change, f"{rows:,}", str(count), *cells]


def _delays(delays: Sequence[Delay]) -> Iterable[list[str]]:
    for each in delays:
        first = "never" if each.rows_until_the_first is None else f"{each.rows_until_the_first:,}"
        before = f"{each.alarms_before} of {each.windows_before}"
        yield [each.rule, before, f"{each.alarms_after} of {each.windows_after}", first]


def _fair_power(found: Opinions, name: str, null: str, change: str, rows: int) -> float:
    quiet = _values(found, name, null, "", rows, "score")
    threshold = np.quantile(quiet, 1 - BUDGET)
    return float((_values(found, name, null, change, rows, "score") > threshold).mean())


def _alarms(found: Opinions, name: str, null: str, change: str, rows: int) -> np.ndarray:
    return _values(found, name, null, change, rows, "alarm")


def _values(
    found: Opinions, name: str, null: str, change: str, rows: int, field: str
) -> np.ndarray:
    key = (name, null, change, rows)
    return np.array(
        [o[field] for o in found if (o["rule"], o["null"], o["change"], o["rows"]) == key]
    )


def _table(lines: Iterable[Sequence[str]], headers: Sequence[str]) -> list[str]:
    return [
        f"| {' | '.join(headers)} |",
        "|" + "---|" * len(headers),
        *(f"| {' | '.join(line)} |" for line in lines),
    ]
