"""The opinions of a run as tables."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from delay import Delay
from rules import BUDGET_CHECKS, MLKIT
from witnesses import Answer

Opinions = Sequence[dict[str, Any]]

BUDGET = 1 / BUDGET_CHECKS
MOST = 1.2 * BUDGET


def render(found: Opinions, delays: Sequence[Delay], answers: Sequence[Answer]) -> str:
    """Return the tables as markdown."""
    names = list(dict.fromkeys(each["rule"] for each in found))
    log = _Log(found)
    parts = [
        f"Budget: {BUDGET:.2%} of the checks may alarm: one false alarm in {BUDGET_CHECKS}.",
        "",
        "### False alarms: share of windows without any change that alarm",
        "",
        *_table(_false_alarms(log, names), ("data", "rows", "windows", *names)),
        "",
        "### Changes found: one feature of twenty changes",
        "",
        "In brackets: with the rule's threshold set afterwards so that it alarms on this data, "
        f"unchanged, in {BUDGET:.2%} of the windows; for mlkit the verdict as it is.",
        "",
        *_table(_power(log, names), ("data", "change", "rows", "windows", *names)),
        "",
        "### Delay: rows from a change to the end of the first window that alarms",
        "",
        *_table(_delays(delays), ("stream", "rule", "alarms before", "found in", "median rows")),
        "",
        "### The packages themselves",
        "",
        "Windows in which the package and its rule as computed here give the same verdict.",
        "",
        *_table(_agreement(answers), ("package", "rows", "windows", "same verdict")),
        "",
        "River's detectors, a stream for each feature: share of windows in which any alarms.",
        "",
        *_table(_streamed(answers), ("data", "change", "rows", *STREAMED)),
    ]
    return "\n".join(parts) + "\n"


STREAMED = ("adwin", "page_hinkley", "kswin")


class _Log:
    """The opinions by rule and kind of window."""

    def __init__(self, found: Opinions) -> None:
        self.nulls = list(dict.fromkeys((o["null"], o["rows"]) for o in found if not o["change"]))
        keys = dict.fromkeys((o["null"], o["change"], o["rows"]) for o in found if o["change"])
        places = {null: place for place, null in enumerate(dict.fromkeys(n for n, _ in self.nulls))}
        self.changes = sorted(keys, key=lambda key: (places[key[0]], key[1], key[2]))
        self._parts: dict[tuple[str, str, str, int], list[tuple[bool, float]]] = {}
        for o in found:
            key = (o["rule"], o["null"], o["change"], o["rows"])
            self._parts.setdefault(key, []).append((o["alarm"], o["score"]))

    def alarms(self, name: str, null: str, change: str, rows: int) -> np.ndarray:
        return np.array([alarm for alarm, _ in self._parts[name, null, change, rows]])

    def fair_power(self, name: str, null: str, change: str, rows: int) -> float:
        quiet, moved = (
            np.array([score for _, score in self._parts[name, null, each, rows]])
            for each in ("", change)
        )
        return float((moved > np.quantile(quiet, 1 - BUDGET)).mean())


def _false_alarms(log: _Log, names: Sequence[str]) -> Iterable[list[str]]:
    for null, rows in log.nulls:
        cells = [log.alarms(name, null, "", rows) for name in names]
        shares = [f"{np.mean(cell):.1%}{'' if np.mean(cell) <= MOST else ' (!)'}" for cell in cells]
        yield [null, f"{rows:,}", f"{len(cells[0]):,}", *shares]


def _power(log: _Log, names: Sequence[str]) -> Iterable[list[str]]:
    for null, change, rows in log.changes:
        cells = []
        for name in names:
            share = f"{np.mean(log.alarms(name, null, change, rows)):.0%}"
            fair = log.fair_power(name, null, change, rows)
            cells.append(share if name == MLKIT else f"{share} ({fair:.0%})")
        count = len(log.alarms(MLKIT, null, change, rows))
        yield [null, change, f"{rows:,}", f"{count:,}", *cells]


def _delays(delays: Sequence[Delay]) -> Iterable[list[str]]:
    for stream, rule in dict.fromkeys((each.stream, each.rule) for each in delays):
        part = [each for each in delays if (each.stream, each.rule) == (stream, rule)]
        alarms, windows = (
            sum(getattr(each, field) for each in part)
            for field in ("alarms_before", "windows_before")
        )
        first = [d.rows_until_the_first for d in part if d.rows_until_the_first is not None]
        yield [
            stream, rule, f"{alarms} of {windows}", f"{len(first)} of {len(part)}",
            f"{np.median(first):,.0f}" if first else "never",
        ]  # fmt: skip


def _agreement(answers: Sequence[Answer]) -> Iterable[list[str]]:
    known = [each for each in answers if each.ours is not None]
    for name, rows in dict.fromkeys((a.detector, a.rows) for a in known):
        part = [a for a in known if (a.detector, a.rows) == (name, rows)]
        yield [name, f"{rows:,}", str(len(part)), str(sum(a.alarm == a.ours for a in part))]


def _streamed(answers: Sequence[Answer]) -> Iterable[list[str]]:
    part = [each for each in answers if each.detector in STREAMED]
    for null, change, rows in dict.fromkeys((a.null, a.change, a.rows) for a in part):
        cells = []
        for name in STREAMED:
            key = (name, null, change, rows)
            alarms = [a.alarm for a in part if (a.detector, a.null, a.change, a.rows) == key]
            cells.append(f"{np.mean(alarms):.0%} of {len(alarms)}" if alarms else "")
        yield [null, change or "none", f"{rows:,}", *cells]


def _table(lines: Iterable[Sequence[str]], headers: Sequence[str]) -> list[str]:
    return [
        f"| {' | '.join(headers)} |",
        "|" + "---|" * len(headers),
        *(f"| {' | '.join(line)} |" for line in lines),
    ]
