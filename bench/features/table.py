"""The figures as Markdown: the best of the rounds, and whether a target is met."""

import math
from typing import Any


def render(found: list[dict[str, Any]], rows: int) -> str:
    """Return the table; raises SystemExit if the values looked up differ."""
    _refuse_differences(found)
    lines = [
        "| what | mlkit | Feast | Feast / mlkit | target | |",
        "|---|---|---|---|---|---|",
    ]
    for entities in (1, 100):
        for cached in (False, True):
            mine = _lookups(found, "mlkit", entities, cached=cached)
            theirs = _lookups(found, "feast", entities, cached=False)
            target = 40 if entities == 1 else None
            label = f"look up {entities}, {'held in memory' if cached else 'from the database'}"
            lines += [
                _line(f"{label}: p50, ms", mine["p50"], theirs["p50"], target),
                _line(f"{label}: p99, ms", mine["p99"], theirs["p99"], None),
            ]
    for step, field, label, target in (
        ("materialise", "seconds", f"materialise {rows:,} rows: s", 10),
        ("materialise", "mb", "MB above what was there", 4),
        ("join", "seconds", f"join {rows:,} rows with 3 views: s", 15),
        ("join", "first", "the first time, s", None),
        ("join", "mb", "MB above what was there", 4),
    ):
        ours, other = (_best(found, tool, step, field) for tool in ("mlkit", "feast"))
        lines.append(_line(label, ours, other, target))
    answers = [each for each in found if each["step"] == "answers"][-1]
    again = _best(found, "mlkit", "materialise again", "seconds")
    kept = _best(found, "mlkit", "join and keep", "seconds")
    floor = [_best(found, "pandas", "join", field) for field in ("seconds", "mb")]
    lines += [
        "",
        f"Beside it: materialise again, with nothing new, {again:.3f} s; join, check, profile and "
        f"keep as a dataset version {kept:.2f} s; `pandas.merge_asof` alone {floor[0]:.2f} s and "
        f"{floor[1]:.0f} MB.",
        "",
        f"Rows that came back from the join of {rows:,}: mlkit {answers['mlkit']:,}, Feast "
        f"{answers['feast']:,}. {answers['compared']:,} values of rows that both have were "
        f"compared; all are equal.",
    ]
    return "\n".join(lines) + "\n"


def _line(label: str, mine: float, theirs: float, target: float | None) -> str:
    ratio = theirs / mine if mine > 0 else math.inf
    met = "" if target is None else ("met" if ratio >= target else "missed")
    wanted = "" if target is None else f"{target:g}"
    return f"| {label} | {mine:.3g} | {theirs:.3g} | {ratio:.3g} | {wanted} | {met} |"


def _lookups(
    found: list[dict[str, Any]], tool: str, entities: int, *, cached: bool
) -> dict[str, float]:
    lines = [
        each for each in found
        if (each["tool"], each["step"], each.get("entities"), each.get("cached"))
        == (tool, "look-up", entities, cached)
    ]  # fmt: skip
    return {name: min(each[name] for each in lines) for name in ("p50", "p99")}


def _best(found: list[dict[str, Any]], tool: str, step: str, field: str) -> float:
    return min(each[field] for each in found if (each["tool"], each["step"]) == (tool, step))


def _refuse_differences(found: list[dict[str, Any]]) -> None:
    mine, theirs = (
        [each["values"] for each in found if (each["tool"], each["step"]) == (tool, "values")]
        for tool in ("mlkit", "feast")
    )
    if mine != theirs:
        raise SystemExit("the values looked up differ")
