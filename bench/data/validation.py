"""A table of 20 columns against three rules for each: mlkit, pandera alone, Great Expectations."""

import json
import subprocess
from pathlib import Path
from typing import Any

import environments

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = {
    "numpy": "mlkit",
    "mlkit": "mlkit",
    "pandera": "mlkit",
    "great-expectations": "great-expectations",
}
NAMES = {
    "numpy": "numpy, the floor (says only whether)",
    "mlkit": "mlkit",
    "pandera": "pandera alone",
    "great-expectations": "Great Expectations",
}
TABLES = {
    "numbers": "20 columns of numbers, all rules hold",
    "mixed": "10 of numbers, 5 of whole numbers, 5 of texts, all rules hold",
    "broken": "the same, 60 cells break rules",
}


def measure(work: Path, *, rows: int, repeats: int) -> str:
    """Return the tables as Markdown."""
    folder = work / f"validation-{rows}"
    _make(work, folder, rows)
    lines = [f"### Validation: {rows:,} rows x 20 columns x 3 checks", ""]
    for table, says in TABLES.items():
        found = {tool: _run(work, tool, folder / f"{table}.parquet", repeats) for tool in NAMES}
        lines += [f"{says}:", "", *_table(found), "", _agreement(found), ""]
    return "\n".join(lines)


def _make(work: Path, folder: Path, rows: int) -> None:
    if not (folder / "broken.parquet").exists():
        folder.mkdir(parents=True, exist_ok=True)
        code = f"import tables, pathlib; tables.write(pathlib.Path({str(folder)!r}), {rows})"
        subprocess.run([environments.python(work, "mlkit"), "-c", code], cwd=HERE, check=True)


def _run(work: Path, tool: str, file: Path, repeats: int) -> dict[str, Any]:
    python = environments.python(work, ENVIRONMENTS[tool])
    command = [str(word) for word in (python, HERE / "one_tool.py", tool, file, repeats)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _table(found: dict[str, dict[str, Any]]) -> list[str]:
    floor, ours = found["numpy"]["best_s"], found["mlkit"]["best_s"]
    lines = [
        "| | best s | first s | x mlkit | x floor | memory it adds, MB | import, load, set up, s |",
        "|---|---|---|---|---|---|---|",
    ]
    for tool, name in NAMES.items():
        one = found[tool]
        lines.append(
            f"| {name} | {one['best_s']:.4f} | {one['first_s']:.4f} | {one['best_s'] / ours:.1f} "
            f"| {one['best_s'] / floor:.1f} | {one['added_mb']:.0f} | {one['ready_s']:.1f} |"
        )
    return lines


def _agreement(found: dict[str, dict[str, Any]]) -> str:
    answers = {tool: one["found"] for tool, one in found.items() if one["found"] is not None}
    cells = {tool: sum(answer.values()) for tool, answer in answers.items()}
    if all(answer == answers["mlkit"] for answer in answers.values()):
        return f"The answers are the same: {cells['mlkit']} broken rules, column by column."
    return f"The answers differ: {cells}."
