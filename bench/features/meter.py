"""Time and memory of a step, and the time of each of many look-ups."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

LOOKUPS = 2000


def step(action: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """Return what ``action`` returns, its seconds, and the MB above what was there before."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _kilobytes("VmRSS")
    start = time.perf_counter()
    made = action()
    seconds = time.perf_counter() - start
    return made, {"seconds": seconds, "mb": (_kilobytes("VmHWM") - before) / 1000}


def best(action: Callable[[], Any], repeats: int = 3) -> tuple[Any, dict[str, float]]:
    """Return what ``action`` returns, the memory of the first time, and the best of the times."""
    made, first = step(action)
    taken = [step(action)[1]["seconds"] for _ in range(repeats)]
    return made, {"first": first["seconds"], "seconds": min(taken), "mb": first["mb"]}


def lookups(ask: Callable[[list[int]], Any], keys: Sequence[list[int]]) -> dict[str, float]:
    """Return the median and the 99th percentile of the milliseconds of one call."""
    for some in keys[:50]:
        ask(some)
    taken = []
    for some in keys:
        start = time.perf_counter_ns()
        ask(some)
        taken.append((time.perf_counter_ns() - start) / 1e6)
    taken.sort()
    return {"p50": taken[len(taken) // 2], "p99": taken[len(taken) * 99 // 100]}


def keys(rows: int, count: int, calls: int = LOOKUPS) -> list[list[int]]:
    """Return which entities each call asks for, the same for everyone."""
    import random

    chosen = random.Random(1)  # noqa: S311  # no secret
    return [[chosen.randrange(rows) for _ in range(count)] for _ in range(calls)]


def tell(**found: Any) -> None:
    """Print what was found, for the program that compares."""
    print(json.dumps(found), flush=True)


def _kilobytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))
