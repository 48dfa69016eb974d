"""Ask the packages themselves about some of the windows, and compare with the rules' opinions."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import environments
import numpy as np
import rules
import trials

FAST = 1_000  # rows: of these windows river is asked more, and the slowest package only these
SIZES = (FAST, 10_000)
REFERENCES = {"river": 20}
RULES = {"evidently": rules.EVIDENTLY, "nannyml": rules.NANNYML, "alibi": rules.ALIBI}
TOOLS = (*RULES, "river")

Opinions = Sequence[dict[str, Any]]


class Answer(NamedTuple):
    """A package's own word on one window; ``ours`` is what the rule computed here says of it."""

    detector: str
    null: str
    change: str
    rows: int
    alarm: bool
    ours: bool | None


class Asked(NamedTuple):
    """The windows in a folder, and of which reference of their kind they are."""

    part: trials.Windows
    place: int

    @property
    def rows(self) -> int:
        """How many rows a window has."""
        return int(self.part.windows.shape[1])


def ask(work: Path, data: Path, found: Opinions) -> list[Answer]:
    """Return the answers of all packages about the windows of the first references of each null."""
    environments.add(work, set(TOOLS))
    first = {
        (o["rule"], o["null"], o["change"], o["rows"], o["window"]): o["alarm"]
        for o in found
        if not o["place"]
    }
    keys = dict.fromkeys((o["null"], o["place"]) for o in found)
    with tempfile.TemporaryDirectory() as folder:
        parts = _write(Path(folder), keys, data)
        return [answer for tool in TOOLS for answer in _answers(work, tool, parts, first)]


def _write(folder: Path, keys: Iterable[tuple[str, int]], data: Path) -> dict[Path, Asked]:
    parts: dict[Path, Asked] = {}
    for null, place in keys:
        if place >= max(REFERENCES.values()):
            continue
        for part in trials.windows(trials.Task(null, place, data)):
            asked = Asked(part, place)
            if asked.rows > (FAST if place else max(SIZES)):
                break
            if asked.rows in SIZES:
                path = folder / f"{len(parts):04d}"
                path.mkdir()
                np.save(path / "known.npy", part.known)
                np.save(path / "windows.npy", part.windows)
                parts[path] = asked
    return parts


def _answers(
    work: Path, tool: str, parts: Mapping[Path, Asked], first: Mapping[Any, bool]
) -> Iterator[Answer]:
    count = REFERENCES.get(tool, 1)
    most = FAST if tool == "evidently" else max(SIZES)
    paths = [path for path, asked in parts.items() if asked.place < count and asked.rows <= most]
    for path, found in zip(paths, _run(work, tool, paths), strict=True):
        (null, change, _, _), rows = parts[path].part, parts[path].rows
        for detector, alarms in found.items():
            for number, alarm in enumerate(alarms):
                ours = first.get((RULES.get(tool), null, change, rows, number))
                yield Answer(detector, null, change, rows, alarm, ours)


def _run(work: Path, tool: str, places: Sequence[Path]) -> list[dict[str, list[bool]]]:
    print(f"asking {tool}", file=sys.stderr, flush=True)
    program = Path(__file__).with_name("packages.py")
    command: list[str | Path] = [environments.python(work, tool), program, tool, *places]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{tool} failed: {done.stderr[-500:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
