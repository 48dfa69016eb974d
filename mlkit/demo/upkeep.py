"""What the loop does at the end of a month: its jobs, run as cron and the daemon run them."""

import logging
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from multiprocessing.forkserver import ensure_running
from typing import Any, NamedTuple

from mlkit import timetable
from mlkit.demo import weather
from mlkit.demo.client import Client, asking
from mlkit.demo.stage import MODEL, Stage
from mlkit.demo.story import Action, Drift, Raised, name_drift
from mlkit.errors import MlkitError
from mlkit.flows.training import retrain
from mlkit.project import Project
from mlkit.scheduling import runner, supervisor
from mlkit.store import alerts, deployments, registry, reports

_CHECKS = ("drift", "performance")
_PRELOAD = (
    "mlkit.flows.monitoring.monitor",
    "mlkit.flows.registry.champions",
    "mlkit.flows.training.retrain",
    "mlkit.flows.training.train",
)
_TAKE_UP_S = 15.0
_POLL_S = 0.05
_CONNECTIONS = 12


class Upkeep(NamedTuple):
    """What was found and done; ``taken_up_s`` is how long the server went on with the old one."""

    alerts: tuple[Raised, ...]
    drift: Drift
    drifted: tuple[str, ...]
    diagnosis: str
    action: Action
    reason: str
    version: int
    taken_up_s: float | None


def warm_up() -> None:
    """Import what the jobs need once, so that each of their processes starts in milliseconds.

    Done beside the demo by the process that they are forked from; Ctrl-C is not for that one.
    """
    supervisor.preload(_PRELOAD)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def quiet_alerts() -> Iterator[None]:
    """Keep the alerts from being logged as well: the demo tells of them itself."""
    log, silence = logging.getLogger("mlkit.alerts"), logging.NullHandler()
    log.addHandler(silence)
    try:
        yield
    finally:
        log.removeHandler(silence)


def run_jobs(
    stage: Stage,
    client: Client,
    *,
    background: Client,
    rows: Sequence[Mapping[str, Any]],
    after: datetime,
) -> Upkeep:
    """Run the checks and the retraining in their first slots of the timetable ``after`` a time.

    While the retraining goes on, ``background`` goes on asking for ``rows``; after a promotion,
    until the server answers with the new champion. Raises MlkitError if a job fails or the server
    does not take up the new version.
    """
    project = stage.project
    before = _champion(project)
    run_checks(stage, after)
    raised = _alerts(project)
    with asking(background, rows):
        said = _run(stage, "retrain", after)
        champion = _champion(project)
        taken_up_s = None if champion == before else _await(client, rows[0], champion)
    action: Action = "promoted" if champion != before else "kept" if raised else "none"
    return Upkeep(
        alerts=raised,
        **_findings(project),
        action=action,
        reason=said.removeprefix(f"{action} v{champion}: ") if raised else "no alert",
        version=champion,
        taken_up_s=taken_up_s,
    )


def run_checks(stage: Stage, after: datetime) -> tuple[str, ...]:
    """Run the drift and the performance job in their slots; return what each says."""
    return tuple(_run(stage, name, after) for name in _CHECKS)


def _run(stage: Stage, name: str, after: datetime) -> str:
    """Run a job in its slot; return what it says of the one model there is."""
    project = stage.project
    job = timetable.find(timetable.load(project), name)
    due = job.next_after(after)
    stage.clock.set(due)
    weather.refresh(stage)
    result = runner.run_one(project, job, due)
    if result.status != "ok":
        raise MlkitError(f"the job {name} {result.status}: {result.summary}; see {result.output}")
    return result.summary.removeprefix(f"{MODEL}: ")


def _await(client: Client, row: Mapping[str, Any], version: int) -> float:
    """Return after how long every worker answered with ``version``: many connections find all."""
    start, seen = time.monotonic(), 0
    while (waited := time.monotonic() - start) < _TAKE_UP_S:
        answer = client.predict([row])
        client.close()
        if answer is not None and answer.version == version:
            seen += 1
            if seen == _CONNECTIONS:
                return waited
        else:
            seen = 0
            time.sleep(_POLL_S)
    raise MlkitError(f"the server has not taken up v{version} within {_TAKE_UP_S:g} s")


def _champion(project: Project) -> int:
    with project.read() as s:
        deployment = deployments.champion(s, registry.get_model(s, MODEL))
    if deployment is None:
        raise MlkitError(f"{MODEL} has no champion any more")
    return deployment.version.number


def _alerts(project: Project) -> tuple[Raised, ...]:
    with project.read() as s:
        open_ones = alerts.ongoing(s, model=MODEL, kinds=retrain.CAUSES)
        found = [Raised(a.kind, a.summary.removeprefix(f"{MODEL} ")) for a in open_ones]
    return tuple(sorted(found, key=lambda alert: alert.kind))


def _findings(project: Project) -> dict[str, Any]:
    """Return what the two checks have just found, told apart."""
    with project.read() as s:
        model = registry.get_model(s, MODEL)
        inputs, error = reports.latest_drift(s, model), reports.latest_performance(s, model)
    if inputs is None or error is None:
        raise MlkitError(f"the checks of {MODEL} have left no report")
    features = inputs.details["features"]
    return {
        "drift": name_drift(
            inputs.verdict,
            error.verdict,
            unclear=any(feature["drifted"] is None for feature in features),
            base_moved=bool((error.details["target"] or {}).get("drifted")),
        ),
        "drifted": tuple(inputs.details["drifted"]),
        "diagnosis": error.details["diagnosis"],
    }
