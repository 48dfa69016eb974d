"""Alerts about missing traffic: a model without requests, predictions without actuals."""

from datetime import datetime

from mlkit.flows.alerts import alerting
from mlkit.project import Project
from mlkit.store import predictions, registry


def watch_requests(project: Project, model: str, since: datetime) -> None:
    """Open an alert if a model had requests before ``since`` and has had none since."""
    with project.read() as s:
        last = predictions.last_served(s, registry.get_model(s, model).id)
    key = f"requests:{model}"
    if last is None:  # no request ever, or all sealed long ago: none are expected
        return
    if last >= since:
        alerting.resolve(project, key, f"{model} was asked again")
        return
    _open(
        project, model, key, last,
        f"nobody has asked {model} since {last:%F %H:%MZ}: is the caller down, or another server "
        "answering? (see: mlkit log show, mlkit doctor)",
    )  # fmt: skip


def watch_actuals(
    project: Project, model: str, since: datetime, *, answered: int, known: int
) -> None:
    """Open an alert if actuals came before ``since`` and none have come since.

    ``answered`` predictions were made since then, ``known`` of them have an actual.
    """
    key = f"actuals:{model}"
    if known:
        alerting.resolve(project, key, f"actuals of {model} came again")
        return
    if not answered:
        return
    with project.read() as s:
        last = predictions.last_actual(s, registry.get_model(s, model).id)
    if last is None or last >= since:  # actuals do come, for older predictions
        return
    _open(
        project, model, key, last,
        f"no actual of {model} has come since {last:%F %H:%MZ}, and none of its {answered} "
        "predictions in the window has one: is the feed of actuals down? (see: mlkit actual add)",
    )  # fmt: skip


def _open(project: Project, model: str, key: str, last: datetime, summary: str) -> None:
    alerting.raise_alert(
        project,
        key=key,
        kind="silence",
        severity="warning",
        model=model,
        summary=summary,
        details={"last": last.isoformat()},
    )
