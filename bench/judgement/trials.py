"""One reference, windows of it in which nothing or something changes, and what the rules say."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cases
import numpy as np
import rules

WINDOWS = 10  # of one reference and size
SIZES = {250: 1, 1_000: 1, 10_000: 1, 50_000: 5}  # rows, and every how many-th reference has them
CHANGED = 3  # every how many-th reference's windows are changed, too
CHANGED_SIZES = (1_000, 10_000, 50_000)


class Task(NamedTuple):
    """The ``place``-th reference of the data of this name."""

    null: str
    place: int
    data: Path


class Windows(NamedTuple):
    """Windows of equal size with the same change, or none, and their reference."""

    null: str
    change: str
    known: np.ndarray
    windows: np.ndarray


def tasks(trials: int, data: Path, only: str | None) -> Iterator[Task]:
    """Yield the references for so many windows of each kind."""
    count = max(1, round(trials / WINDOWS))
    for place in range(count):
        for null in {**cases.nulls(), **cases.real(data)}:
            if only in (None, null):
                yield Task(null, place, data)


def windows(task: Task) -> Iterator[Windows]:
    """Yield the windows of a reference; the same task gives the same ones."""
    source = {**cases.nulls(), **cases.real(task.data)}[task.null]
    rng = np.random.default_rng([zlib.crc32(task.null.encode()), task.place])
    known, draw = source(rng)
    for rows, every in SIZES.items():
        if task.place % every or rows > cases.most_rows(task.null):
            continue
        drawn = np.stack([draw(rows) for _ in range(WINDOWS)])
        yield Windows(task.null, "", known, drawn)
        if rows in CHANGED_SIZES and not task.place // every % CHANGED:
            for name in cases.CHANGED.get(task.null, ()):
                change = cases.CHANGES[name]
                changed = np.stack([change(window.copy(), rng) for window in drawn])
                yield Windows(task.null, name, known, changed)


def judge(task: Task) -> list[dict[str, Any]]:
    """Return one row for each rule and window."""
    found: list[dict[str, Any]] = []
    ask = None
    for each in windows(task):
        ask = ask or rules.judge_all(each.known, cases.DENSITIES.get(task.null, 1.0))
        for number, window in enumerate(each.windows):
            for name, opinion in ask(window).items():
                found.append({
                    "rule": name, "null": each.null, "change": each.change, "rows": len(window),
                    "place": task.place, "window": number,
                    "alarm": opinion.alarm, "score": opinion.score,
                })  # fmt: skip
    return found
