"""The measured lines as tables."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Line = dict[str, Any]
_TOLERANCE = 0.1  # rise over the holdout beyond which a model counts as degraded


def render(found: list[Line]) -> str:
    """Return every table."""
    lines: list[str] = []
    for metric, name in (("error_rate", "Error rate"), ("mae", "Mean absolute error of numbers"),
                         ("log_loss", "Log loss")):  # fmt: skip
        lines += [f"### {name}: mean absolute error of the estimate", ""]
        lines += [*_errors([line for line in found if line["metric"] == metric]), ""]
    lines += ["### Intervals of 95 % and alerts", "", *_intervals(found), ""]
    lines += ["### Seconds", "", *_times(found), ""]
    return "\n".join([*lines, *_equality(found)]) + "\n"


def _errors(lines: list[Line]) -> Iterator[str]:
    tools = [tool for tool in ("mlkit", "nannyml", "unchanged") if _of(lines, tool=tool)]
    yield f"| model | what moved | {' | '.join(tools)} | trusted by mlkit |"
    yield "|---|---|" + "---|" * (len(tools) + 1)
    cases = list(dict.fromkeys((line["model"], line["shift"]) for line in lines))
    for model, shift in cases:
        case = _of(lines, model=model, shift=shift)
        trust = np.mean([line["trusted"] for line in _of(case, tool="mlkit")])
        yield f"| {model} | {shift} | {_cells(case, tools)} | {trust:.0%} |"
    quiet = [line for line in lines if line["shift"] != "relation"]
    yield f"| **all** | all | {_cells(lines, tools)} | |"
    yield f"| **all** | all but the relation | {_cells(quiet, tools)} | |"
    for rows in sorted({line["rows"] for line in lines}):
        part = _of(quiet, rows=rows)
        yield f"| **{rows:,} rows** | all but the relation | {_cells(part, tools)} | |"


def _cells(lines: list[Line], tools: list[str]) -> str:
    errors = [np.mean([_error(line) for line in _of(lines, tool=tool)]) for tool in tools]
    return " | ".join(f"{error:.4f}" for error in errors)


def _error(line: Line) -> float:
    return abs(float(line["value"]) - float(line["truth"]))


def _intervals(found: list[Line]) -> Iterator[str]:
    yield (
        "| metric | what moved | truth inside | alerts | of these below the limit "
        "| beyond the limit | of these alerted |"
    )
    yield "|---|---|---|---|---|---|---|"
    own = _of(found, tool="mlkit")
    for metric, shift in dict.fromkeys((line["metric"], line["shift"]) for line in own):
        lines = _of(own, metric=metric, shift=shift)
        inside = np.mean([line["low"] <= line["truth"] <= line["high"] for line in lines])
        alerts = [line for line in lines if _alert(line)]
        passed = [line for line in lines if line["truth"] > _limit(line)]
        early = sum(line["truth"] <= _limit(line) for line in alerts)
        seen = sum(_alert(line) for line in passed)
        yield (
            f"| {metric} | {shift} | {inside:.0%} | {len(alerts)} of {len(lines)} | {early} "
            f"| {len(passed)} | {seen} |"
        )


def _limit(line: Line) -> float:
    return float(line["holdout"]) * (1 + _TOLERANCE)


def _alert(line: Line) -> bool:
    return bool(line["trusted"] and line["least"] > _limit(line))


def _times(found: list[Line]) -> Iterator[str]:
    yield "| task | rows | mlkit | nannyml | ratio |"
    yield "|---|---|---|---|---|"
    for task in ("classification", "regression"):
        yield _time(_of(found, task=task), task, "fit", lambda line: line["fit_s"])
        for rows in sorted({line["rows"] for line in found}):
            part = _of(found, task=task, rows=rows)
            yield _time(part, task, f"{rows:,}", lambda line: line["s"])


def _time(lines: list[Line], task: str, name: str, of: Callable[[Line], float]) -> str:
    mine, theirs = (
        float(np.median([of(line) for line in _of(lines, tool=tool)]))
        for tool in ("mlkit", "nannyml")
    )
    return f"| {task} | {name} | {mine:.4f} | {theirs:.4f} | {theirs / mine:.1f} |"


def _equality(found: list[Line]) -> Iterator[str]:
    """Return how far NannyML's metrics differ from mlkit's calibration, where it calibrates."""
    off = {(line["file"], line["key"]) for line in found if line["metric"] == "uncalibrated"}
    mine = {(line["file"], line["key"], line["metric"]): line["value"]
            for line in _of(found, tool="calibration")}  # fmt: skip
    worst: dict[str, float] = {}
    windows = set()
    for line in _of(found, tool="nannyml"):
        key = line["file"], line["key"], line["metric"]
        if key in mine and key[:2] not in off:
            windows.add(key[:2])
            gap = abs(mine[key] - line["value"])
            worst[key[2]] = max(worst.get(key[2], 0.0), gap)
    said = ", ".join(f"{name} {gap:.0e}" for name, gap in sorted(worst.items()))
    yield f"Largest difference from CBPE in {len(windows)} windows where both calibrate: {said}."


def _of(lines: list[Line], **wanted: object) -> list[Line]:
    return [line for line in lines if all(line[name] == value for name, value in wanted.items())]
