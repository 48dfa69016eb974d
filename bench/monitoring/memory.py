"""What the check alone costs each tool, on frames that are in memory."""

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import environments

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = {
    "mlkit": "mlkit", "sort": "mlkit", "scipy": "mlkit", "nannyml": "nannyml", "alibi": "alibi",
    "evidently": "evidently", "whylogs": "whylogs",
}  # fmt: skip
NAMES = {
    "sort": "numpy.sort of the window alone", "scipy": "a loop over scipy.stats",
    "alibi": "alibi-detect",
}  # fmt: skip
TIGHT = 1e-12


def measure(work: Path, *, repeats: int, sizes: list[int]) -> str:
    """Return the table of ``repeats`` rounds; raises SystemExit if answers differ."""
    files = _data(work, sizes)
    found: list[dict[str, Any]] = []
    for repeat in range(repeats):
        for rows, window in files.items():
            for tool, name in ENVIRONMENTS.items():
                print(f"round {repeat + 1}: {tool}, {rows:,} rows", file=sys.stderr, flush=True)
                command: list[str | Path] = [
                    environments.python(work, name),
                    HERE / "measure.py",
                    tool,
                ]
                command += [work / "monitoring" / "reference.parquet", window]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode:
                    print(f"  failed: {done.stderr[-300:]}", file=sys.stderr)
                    continue
                line = done.stdout.splitlines()[-1]
                found.append({"tool": tool, "rows": rows, **json.loads(line)})
    return _render(found, sizes)


def _data(work: Path, sizes: list[int]) -> dict[int, Path]:
    """Write the reference and the windows, the same for everyone."""
    folder = work / "monitoring"
    folder.mkdir(exist_ok=True)
    program = environments.python(work, "mlkit")
    subprocess.run([program, HERE / "frames.py", folder, *map(str, sizes)], check=True)
    return {size: folder / f"window-{size}.parquet" for size in sizes}


def _render(found: list[dict[str, Any]], sizes: list[int]) -> str:
    lines = ["### In memory: the check alone, on frames that are there", ""]
    for rows in sizes:
        lines += [
            f"{rows:,} rows against 100,000, 20 numbers and 5 texts a row:", "",
            "| tool | check s (best of 3) | x mlkit | CPU s | import and fit s | "
            "memory above the frames MB |",
            "|---|---|---|---|---|---|",
        ]  # fmt: skip
        own = _values(found, "mlkit", rows, "best_s")
        for tool in ENVIRONMENTS:
            times = _values(found, tool, rows, "best_s")
            if not times:
                continue
            ratios = [theirs / mine for theirs, mine in zip(times, own, strict=False)]
            spread = f"{median(ratios):.3g} ({min(ratios):.3g} to {max(ratios):.3g})"
            cells = [f"{median(times):.3g}", "1" if tool == "mlkit" else spread]
            cells += [
                f"{median(_values(found, tool, rows, field)):.3g}"
                for field in ("cpu_s", "ready_s", "extra_mb")
            ]
            lines.append(f"| {NAMES.get(tool, tool)} | {' | '.join(cells)} |")
        lines += ["", f"Largest difference between mlkit's and scipy's statistics: "
                  f"{_difference(found, rows):.1e}.", ""]  # fmt: skip
    return "\n".join(lines)


def _difference(found: list[dict[str, Any]], rows: int) -> float:
    """Return the largest relative difference; more than rounding is an error of this benchmark."""
    mine, theirs = (
        next(each["statistics"] for each in found if (each["tool"], each["rows"]) == (tool, rows))
        for tool in ("mlkit", "scipy")
    )
    worst = max(abs(mine[name] - theirs[name]) / max(1.0, theirs[name]) for name in theirs)
    if worst > TIGHT:
        raise SystemExit(f"the answers differ by {worst}")
    return worst


def _values(found: list[dict[str, Any]], tool: str, rows: int, field: str) -> list[float]:
    return [each[field] for each in found if (each["tool"], each["rows"]) == (tool, rows)]
