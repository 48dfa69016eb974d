"""Whole commands from their start: a day of a million rows, and a day after long history."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import environments

HERE = Path(__file__).resolve().parent
MILLION = 1_000_000
A_DAY = 100_000
DAYS = 100
RECENT_DAYS = 30
_EXPECTED = (0, 3)  # 3: drift was found


class Cost(NamedTuple):
    """What a process took."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def sealed(work: Path, *, repeats: int) -> str:
    """Return what a million sealed rows cost mlkit's command, and their Parquet Evidently's."""
    folder = project(work, MILLION, 1)
    script = [environments.python(work, "evidently"), HERE / "evidently_script.py"]
    rivals: dict[str, list[Path | str]] = {
        "mlkit drift check": check(work, folder),
        "a script with Evidently": [
            *script, work / "monitoring" / "reference.parquet", folder / "window.parquet",
        ],
    }  # fmt: skip
    costs: dict[str, list[Cost]] = {name: [] for name in rivals}
    for repeat in range(repeats):
        for name, command in rivals.items():
            say(f"round {repeat + 1}: {name}")
            costs[name].append(watched(command))
    own = costs["mlkit drift check"]
    lines = [
        f"### Whole commands: {MILLION:,} rows of the sealed log, 25 features", "",
        "| command | s | CPU s | peak MB | x mlkit's s | x its MB |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, found in costs.items():
        ratios = [
            median(getattr(a, of) / getattr(b, of) for a, b in zip(found, own, strict=True))
            for of in ("wall_s", "peak_mb")
        ]
        cells = [*_medians(found), *(f"{ratio:.3g}" for ratio in ratios)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def history(work: Path, *, repeats: int) -> str:
    """Return what the check of the last day costs after one day and after many, interleaved."""
    long = f"{DAYS} days, sealed"
    mixed = f"{RECENT_DAYS} days, in the database"
    folders = {
        "this day alone, sealed": project(work, A_DAY, 1),
        long: project(work, A_DAY, DAYS),
        "this day alone, in the database": project(work, A_DAY, 1, recent=1),
        mixed: project(work, A_DAY, RECENT_DAYS, recent=RECENT_DAYS),
    }
    costs: dict[str, list[Cost]] = {name: [] for name in folders}
    for repeat in range(repeats):
        for name, folder in folders.items():
            say(f"round {repeat + 1}: {name}")
            costs[name].append(watched(check(work, folder)))
    lines = [
        f"### The last day, {A_DAY:,} rows, after history", "",
        "| history | rows | s | CPU s | peak MB | x the day alone |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    rows = (A_DAY, A_DAY * DAYS, A_DAY, A_DAY * RECENT_DAYS)
    names = list(folders)
    for place, (name, found) in enumerate(costs.items()):
        alone = costs[names[place // 2 * 2]]
        ratio = median(a.cpu_s / b.cpu_s for a, b in zip(found, alone, strict=True))
        lines.append(f"| {name} | {rows[place]:,} | {' | '.join(_medians(found))} | {ratio:.3g} |")
    return "\n".join([*lines, ""])


def project(work: Path, rows: int, days: int, *, recent: int = 0) -> Path:
    """Return a project with that history; its last day must end today, so it is made each day."""
    today = time.strftime("%Y-%m-%d", time.gmtime())
    folder = work / "monitoring" / f"history-{rows}-{days}-{recent}"
    stamp = folder / "complete"
    if not (stamp.exists() and stamp.read_text() == today):
        say(f"making {folder}")
        shutil.rmtree(folder, ignore_errors=True)
        program = [environments.python(work, "mlkit"), HERE / "history.py"]
        words = [folder, rows, days, "--recent", recent]
        subprocess.run([*program, *map(str, words)], check=True)
        stamp.write_text(today)
    return folder


def check(work: Path, folder: Path) -> list[Path | str]:
    """Return the command that checks the last whole day of the project."""
    program = environments.python(work, "mlkit").with_name("mlkit")
    hours = f"{24 + time.gmtime().tm_hour + 1}h"
    return [program, "--project", folder, "drift", "check", "orders", "--window", hours]


def watched(command: list[Path | str]) -> Cost:
    """Run the command and return what it took; raises SystemExit if it failed."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in _EXPECTED:
        raise SystemExit(f"{command} ended with exit code {process.returncode}")
    return Cost(took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


def _medians(found: list[Cost]) -> list[str]:
    return [f"{median(values):.3g}" for values in zip(*found, strict=True)]
