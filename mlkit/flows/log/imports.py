"""Import the journals of the servers into the database."""

import sys
from collections.abc import Generator
from pathlib import Path

from mlkit.project import Project
from mlkit.store import journal, predictions, requests
from mlkit.store.disk import failpoints
from mlkit.store.log_columns import Entry

_BATCH_ROWS = 2_000  # one write transaction; 2,000 rows hold the lock for about 20 ms


def sync(project: Project) -> int:
    """Bring every acknowledged prediction into the database; return how many rows were read.

    A journal that no process owns is removed afterwards. One that a server is writing is copied up
    to its current end and kept: the database ignores rows that it already has.
    """
    rows = 0
    for path in journal.files(project.journal_dir):
        with journal.claimed(path) as ours:
            rows += move(project, path, retire=ours)
    return rows


def collect(project: Project) -> int:
    """Import the journals that no process owns any more; return how many rows."""
    rows = 0
    for path in journal.files(project.journal_dir):
        with journal.claimed(path) as ours:
            rows += move(project, path, retire=True) if ours else 0
    return rows


def move(project: Project, path: Path, *, retire: bool) -> int:
    """Copy one journal into the database, then remove it if ``retire``; return its rows.

    Rows of a model version that this database does not know, or bytes that no torn write explains,
    are never deleted: the file is renamed to ``.damaged`` and kept.
    """
    records = journal.stream(path)
    strange: set[int] = set()
    rows, damaged = 0, False
    while True:
        batch, ended = _batch(records)
        if batch:
            with project.write() as s:
                missing = predictions.unknown_versions(s, batch)
                known = [entry for entry in batch if entry.version_id not in missing]
                predictions.add(s, known)
                requests.add(s, known)
            strange |= missing
            rows += sum(len(entry.ids) for entry in batch)
        if ended is not None:
            damaged = ended
            break
    failpoints.reach("journal.moved")
    if retire and (damaged or strange):
        kept = journal.set_aside(path)
        print(f"prediction log: {kept} is damaged; its good rows were kept", file=sys.stderr)  # noqa: T201  # the server has no other log
    elif retire:
        path.unlink(missing_ok=True)
    return rows


def _batch(records: Generator[Entry, None, bool]) -> tuple[list[Entry], bool | None]:
    """Return the rows of the next transaction, and whether the journal turned out damaged."""
    batch: list[Entry] = []
    rows = 0
    while rows < _BATCH_ROWS:
        try:
            batch.append(next(records))
        except StopIteration as end:
            return batch, bool(end.value)
        rows += len(batch[-1].ids)
    return batch, None
