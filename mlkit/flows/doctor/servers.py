"""Checks of the servers that run on this machine, which may be unable to report themselves."""

from collections.abc import Iterator
from pathlib import Path

from mlkit.flows.doctor.findings import Finding, fail, ok
from mlkit.project import Project
from mlkit.store.disk import heartbeat, locks

_PREFIX = "server-"


def servers(project: Project) -> Iterator[Finding]:
    """Check that each server of this project still imports its predictions into the database."""
    files = sorted((project.state_dir / "locks").glob(f"{_PREFIX}*"))
    ports = [file.name.removeprefix(_PREFIX) for file in files if locks.is_held(file)]
    if not ports:
        yield ok("no server of this project runs on this machine")
    for port in ports:
        yield _judge(port, project.state_dir / "metrics" / port / heartbeat.FILE)


def _judge(port: str, file: Path) -> Finding:
    age_s = heartbeat.age_s(file)
    if age_s is not None and age_s <= heartbeat.TIMEOUT_S:
        return ok(f"the server at port {port} is well")
    since = "yet" if age_s is None else f"for {age_s:.0f} s"
    return fail(
        f"mlkit-log, the process that imports the predictions of the server at port {port}, has "
        f"sent no heartbeat {since}",
        "see what the server printed, then restart it; nothing is lost, it is in the journal",
    )
