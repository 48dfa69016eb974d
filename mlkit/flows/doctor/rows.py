"""Checks of the database: sound, current, its trail unbroken, its times not in the future."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from mlkit.flows.doctor.findings import Finding, fail, ok, warn
from mlkit.flows.features import freshness, other_code
from mlkit.flows.operations import audit_check
from mlkit.project import Project, refuse_missing_database
from mlkit.store import audit, outbox, runs, schema, traffic
from mlkit.store import erasures as store_erasures
from mlkit.store.alerts import AlertDelivery
from mlkit.store.dialects import soundness
from mlkit.store.disk import processes

_SKEW = timedelta(minutes=5)
_FAILED_ATTEMPTS = 3
_SHOWN = 20
_OVERDUE = timedelta(hours=1)


def database(project: Project) -> Iterator[Finding]:
    """Judge the schema and let SQLite look at every page."""
    refuse_missing_database(project)
    found = schema.revision(project.database)
    schema.refuse_newer(found)
    if found is None and schema.is_empty(project.database):
        yield fail("it is empty", "restore a backup (mlkit backup restore)")
        return
    if found != schema.head():
        yield fail(f"schema {found}, this program needs {schema.head()}", "mlkit db upgrade")
        return
    if project.database.is_sqlite:
        with project.read() as s:
            damage = soundness.damage(s)
        if damage is not None:
            yield fail(f"damaged: {damage}", "restore a backup (mlkit backup restore)")
            return
    yield ok(f"schema {found}, sound")


def clock(project: Project) -> Iterator[Finding]:
    """Find rows from the future: the clock was set back, or is wrong."""
    now = project.now()
    with project.read() as s:
        found = (audit.newest(s), traffic.newest(s), runs.newest_start(s))
        newest = max((moment for moment in found if moment is not None), default=now)
    if newest > now + _SKEW:
        yield fail(
            f"the newest row is of {newest:%Y-%m-%d %H:%M:%SZ}, now is {now:%Y-%m-%d %H:%M:%SZ}",
            "set the machine's clock (timedatectl); windows of the checks end at its now",
        )
    else:
        yield ok(f"{now:%Y-%m-%d %H:%M:%SZ}, no row is newer")


def audit_trail(project: Project) -> Iterator[Finding]:
    """Compare the audit trail with the key, its witness, the backups and the rows it covers."""
    found = audit_check.faults(project)
    for fault in found[:_SHOWN]:
        yield fail(fault, audit_check.ADVICE)
    if len(found) > _SHOWN:
        yield fail(f"{len(found) - _SHOWN} more like these", "mlkit audit verify")
    if not found:
        yield ok(f"{audit_check.verify(project).events} events, unbroken and as witnessed")


def erasures(project: Project) -> Iterator[Finding]:
    """Find erasures that were cut off: rows of the subjects may be there still."""
    with project.read() as s:
        waiting = store_erasures.unfinished(s)
    for name in waiting:
        yield warn(
            f"an erasure of dataset '{name}' is not finished", f"mlkit data erase {name} --yes"
        )
    if not waiting:
        yield ok("every erasure is finished")


def jobs(project: Project) -> Iterator[Finding]:
    """Find runs whose process has vanished, and jobs whose last run did not end well."""
    with project.read() as s:
        lost = [run for run in runs.running(s) if processes.state(run.runner) == "gone"]
        names = runs.jobs(s)
        last = [run for run in (runs.latest(s, name) for name in names) if run is not None]
    for run in lost:
        yield warn(
            f"{run.job}: its runner vanished after {run.heartbeat_at:%Y-%m-%d %H:%M:%SZ}",
            f"mlkit job run {run.job}",
        )
    for run in last:
        if run.status not in ("ok", "stopped", runs.RUNNING):
            yield warn(
                f"{run.job}: last run {run.status}: {run.summary}", f"mlkit job history {run.job}"
            )
    if not lost and all(run.status in ("ok", "stopped", runs.RUNNING) for run in last):
        yield ok(
            f"{len(last)} jobs ran, the last run of each ended well" if last else "none ran yet"
        )


def alerts(project: Project) -> Iterator[Finding]:
    """Find messages that no sink would take, and those that nobody has sent in time."""
    now = project.now()
    with project.read() as s:
        waiting = outbox.all_waiting(s)
    stuck = [delivery for delivery in waiting if delivery.attempts >= _FAILED_ATTEMPTS]
    for sink in sorted({delivery.sink for delivery in stuck}):
        errors = [delivery.error for delivery in stuck if delivery.sink == sink and delivery.error]
        yield warn(
            f"{sum(d.sink == sink for d in stuck)} messages were not delivered by {sink}: "
            f"{errors[-1] if errors else 'an attempt was cut off'}",
            "mlkit alert test",
        )
    tried = {delivery.sink for delivery in waiting if delivery.attempts}
    unsent = [each for each in waiting if each.sink not in tried and _is_overdue(each, now)]
    if unsent:
        yield warn(
            f"{len(unsent)} messages should have been sent by now: the job alerts does not run",
            "mlkit job run alerts; is it in jobs/__init__.py, and does a clock run it?",
        )
    if not stuck and not unsent:
        yield ok("no message is stuck")


def features(project: Project) -> Iterator[Finding]:
    """Find feature views that champions need and that the online store does not have, or old."""
    found = freshness.troubles(project)
    for trouble in found:
        yield warn(trouble.text, trouble.fix)
    changed = other_code.troubles(project)
    for text in changed.values():
        yield warn(text, "mlkit features test")
    if not found and not changed:
        count = freshness.needed(project)
        yield ok(f"{count} feature views that champions need are fresh" if count else "none needed")


def _is_overdue(delivery: AlertDelivery, now: datetime) -> bool:
    due = delivery.next_attempt_at or delivery.created_at
    sleeps = delivery.alert and delivery.alert.snoozed_until and delivery.alert.snoozed_until > now
    return due is not None and due < now - _OVERDUE and not sleeps
