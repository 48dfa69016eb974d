"""Add a file to a new project and print what that cost: ``measure_add.py FOLDER FILE [BYTES]``.

A small file is added twice before, so that imports and what they bring along do not count. BYTES
is how much more address space the process may take after that; then the file is added with its last
row once more, too, as a second version that the rules of the first are checked against.
"""

import json
import resource
import sys
from pathlib import Path

from mlkit.errors import MlkitError
from mlkit.flows.data import ingest
from mlkit.project import create_project


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _limit(headroom: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + headroom
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _repeat_last_row(file: Path) -> None:
    with file.open("rb+") as stream:
        stream.seek(-1000, 2)
        last = stream.read().splitlines(keepends=True)[-1]
        stream.write(last)


def _files(root: Path) -> int:
    """Return how many files there are besides locks, of which a name costs one."""
    return sum(path.is_file() and "locks" not in path.parts for path in root.rglob("*"))


def main() -> None:
    root, file = map(Path, sys.argv[1:3])
    root.mkdir()
    (root / "mlkit.toml").touch()
    project = create_project(root, environment={})
    small = root / "small.csv"
    for rows in (100, 101):
        lines = (f"{n},{n / 7},t{n},2026-01-01\n" for n in range(rows))
        small.write_text("n,x,t,d\n" + "".join(lines))
        ingest.add(project, "small", small)
    before, files = _peak_bytes(), _files(root)
    if len(sys.argv) > 3:
        _limit(int(sys.argv[3]))
    try:
        outcome = f"rows: {ingest.add(project, 'large', file).rows}"
        if len(sys.argv) > 3:
            _repeat_last_row(file)
            outcome += f", then {ingest.add(project, 'large', file).rows}"
    except MlkitError as error:
        outcome = str(error)
    print(json.dumps({  # noqa: T201  # what the test reads
        "outcome": outcome,
        "grown_bytes": _peak_bytes() - before,
        "files_before": files,
        "files": _files(root),
    }))  # fmt: skip


main()
