"""Check that the feature views of champions are in the online store, and fresh."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from mlkit.flows.alerts import alerting
from mlkit.flows.features import feature_plan
from mlkit.flows.features.declarations import FILE
from mlkit.project import Project, Session
from mlkit.provenance import ViewUse
from mlkit.settings.table import duration
from mlkit.store import alerts, deployments, features
from mlkit.store.features import StoredView

_KIND = "freshness"


class Trouble(NamedTuple):
    """A problem of a view version that champions were trained with, and the fix.

    ``fix`` is a command, empty if ``text`` says what to do.
    """

    view: str
    version: int
    models: tuple[str, ...]
    text: str
    fix: str = ""


class _Need(NamedTuple):
    """A version of a view, and the models whose champions were trained with it."""

    use: ViewUse
    models: list[str]


def troubles(project: Project) -> list[Trouble]:
    """Return the problems of the online values that champions need, by a few queries.

    The problems are: a version was never materialised; is no longer materialised, because
    ``features.py`` declares a newer one; is older than its ttl or ``features.late_after``; or its
    source has no new events.
    """
    now, patience = project.now(), duration(project.settings.features.late_after)
    with project.read() as s:
        needs = _needs(s)
        stored = features.list_views(s) if needs else []
    declared = (project.root / FILE).is_file()
    found = []
    for need in needs:
        text, fix = next(_wrong(need.use, stored, now, patience), ("", ""))
        if not declared:
            text, fix = f"cannot be materialised any more: {FILE} is gone", ""
        if text:
            label = f"feature view '{need.use.name}' v{need.use.version}"
            whole = f"{label}, needed by {', '.join(sorted(need.models))}, {text}"
            found.append(Trouble(need.use.name, need.use.version, tuple(need.models), whole, fix))
    return found


def needed(project: Project) -> int:
    """Return the number of view versions that champions were trained with."""
    with project.read() as s:
        return len(_needs(s))


def watch(project: Project) -> int:
    """Open an alert for each view with a problem, end the other alerts; return how many."""
    found: dict[str, list[Trouble]] = {}
    for trouble in troubles(project):
        found.setdefault(trouble.view, []).append(trouble)
    for view, each in found.items():
        alerting.raise_alert(
            project,
            key=f"{_KIND}:{view}",
            kind=_KIND,
            severity="warning",
            model=None,
            summary="; ".join(trouble.text for trouble in each),
            details={"view": view, "models": sorted({m for t in each for m in t.models})},
        )
    with project.read() as s:
        ongoing = alerts.ongoing(s, kinds=(_KIND,))
    for alert in ongoing:
        if alert.key.partition(":")[2] not in found:
            alerting.resolve(project, alert.key, "its values are fresh, or no champion needs them")
    return len(found)


def _needs(s: Session) -> list[_Need]:
    found: dict[tuple[str, int], _Need] = {}
    for deployment in deployments.champions(s):
        plan = feature_plan.of(s, deployment.version.dataset_version)
        for use in plan.views if plan else ():
            need = found.setdefault((use.name, use.version), _Need(use, []))
            need.models.append(deployment.version.model.name)
    return list(found.values())


def _wrong(
    use: ViewUse, stored: Sequence[StoredView], now: datetime, patience: timedelta
) -> Iterator[tuple[str, str]]:
    """Yield the problems of the values of one view and their fixes, the worst first."""
    ours = [each for each in stored if each.name == use.name]
    own = next((each for each in ours if each.version == use.version), None)
    newest = max(ours, key=lambda each: each.materialized_at, default=None)
    if own is None or own.set_id is None:
        fix = f"mlkit features materialize {use.name}"
        yield f"was never materialised (see: {fix})", fix
        return
    if newest is not None and newest.version != use.version:
        yield (
            f"is not materialised any more, as features.py has v{newest.version}; join "
            f"and train anew, or set version={use.version} again",
            "",
        )
    ttl = None if use.ttl is None else duration(use.ttl)
    limit = patience if ttl is None else min(ttl, patience)
    if now - own.materialized_at > limit:
        yield (
            f"was last materialised at {own.materialized_at:%F %H:%MZ}: is the job "
            "materialize run? (see: mlkit job list)",
            f"mlkit features materialize {use.name}",
        )
    if ttl is not None and own.newest_event_at is not None and now - own.newest_event_at >= ttl:
        yield (
            f"has nothing younger than its ttl of {use.ttl}: the newest event is of "
            f"{own.newest_event_at:%F %H:%MZ}; its source gets no new rows",
            "",
        )
