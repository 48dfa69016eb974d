"""What the loop does at the end of a month: its jobs, run as cron and the daemon run them."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from mlkit import runner, supervisor, timetable
from mlkit.demo.client import Client
from mlkit.demo.stage import MODEL, Stage
from mlkit.errors import MlkitError
from mlkit.flows import retrain
from mlkit.project import Project
from mlkit.store import alerts, registry, reports

_CHECKS = ("drift", "performance")
_PRELOAD = (
    "mlkit.flows.champions", "mlkit.flows.monitor", "mlkit.flows.retrain", "mlkit.flows.train",
)  # fmt: skip
_TAKE_UP_S = 15.0
_POLL_S = 0.05


class Upkeep(NamedTuple):
    """What was found and done; ``taken_up_s`` is how long the server went on with the old one."""

    alerts: tuple[str, ...]
    drifted: tuple[str, ...]
    action: str
    reason: str
    version: int
    taken_up_s: float | None


def warm_up() -> None:
    """Import what the jobs need once, so that each of their processes starts in milliseconds."""
    supervisor.preload(_PRELOAD)


def run_jobs(stage: Stage, client: Client, row: Mapping[str, Any], month: int) -> Upkeep:
    """Run the checks and the retraining of ``month`` in their slots of the timetable.

    After a promotion, wait until the server answers ``row`` with the new champion. Raises
    MlkitError if a job fails or the server does not take up the new version.
    """
    project = stage.project
    before = _champion(project)
    for name in _CHECKS:
        _run(stage, name, month)
    raised = _alerts(project)
    said = _run(stage, "retrain", month).removeprefix(f"{MODEL}: ")
    after = _champion(project)
    return Upkeep(
        alerts=raised,
        drifted=_drifted(project),
        action="promoted" if after != before else "kept" if raised else "none",
        reason=said if raised else "no alert",
        version=after,
        taken_up_s=None if after == before else _await(client, row, after),
    )


def _run(stage: Stage, name: str, month: int) -> str:
    project = stage.project
    job = timetable.find(timetable.load(project), name)
    due = job.next_after(stage.month_start(month + 1))
    stage.clock.set(due)
    result = runner.run_one(project, job, due)
    if result.status != "ok":
        raise MlkitError(f"the job {name} {result.status}: {result.summary}; see {result.output}")
    return result.summary


def _await(client: Client, row: Mapping[str, Any], version: int) -> float:
    start = time.monotonic()
    while (waited := time.monotonic() - start) < _TAKE_UP_S:
        answer = client.predict([row])
        if answer is not None and answer.version == version:
            return waited
        time.sleep(_POLL_S)
    raise MlkitError(f"the server has not taken up v{version} within {_TAKE_UP_S:g} s")


def _champion(project: Project) -> int:
    with project.read() as s:
        deployment = registry.champion(s, registry.get_model(s, MODEL))
    if deployment is None:
        raise MlkitError(f"{MODEL} has no champion any more")
    return deployment.version.number


def _alerts(project: Project) -> tuple[str, ...]:
    with project.read() as s:
        return tuple(a.kind for a in alerts.ongoing(s, model=MODEL, kinds=retrain.CAUSES))


def _drifted(project: Project) -> tuple[str, ...]:
    with project.read() as s:
        report = reports.latest_drift(s, registry.get_model(s, MODEL))
    features = [] if report is None else report.details["features"]
    return tuple(feature["name"] for feature in features if feature["drifted"])
