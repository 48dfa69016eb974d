"""The commands that help with an alert, ready to be typed in the project folder."""

from collections.abc import Callable, Mapping
from typing import Final

from mlkit.store.alerts import Alert

_STEPS: Final[Mapping[str, Callable[[str], tuple[str, ...]]]] = {
    "drift": lambda model: (f"mlkit drift check {model} --explain", f"mlkit perf check {model}"),
    "performance": lambda model: (f"mlkit perf check {model}", f"mlkit retrain {model}"),
    "slice": lambda model: (f"mlkit perf check {model}", f"mlkit retrain {model}"),
    "estimate": lambda model: (f"mlkit perf check {model}", f"mlkit drift check {model}"),
    "requests": lambda model: (f"mlkit log show {model}", "mlkit doctor"),
    "actuals": lambda model: (f"mlkit log show {model}", f"mlkit perf check {model}"),
    "serving": lambda model: ("mlkit doctor", f"mlkit model rollback {model}"),
    "features": lambda model: (f"mlkit log show {model}", "mlkit features list"),
    "freshness": lambda view: (f"mlkit features materialize {view}", "mlkit features list"),
    "job": lambda job: (f"mlkit job history {job}", f"mlkit job run {job}"),
    "clock": lambda _: ("mlkit doctor", "mlkit job run --missed"),
}


def of(alert: Alert) -> tuple[str, ...]:
    """Return the commands that examine and fix the problem, then the one that acknowledges it.

    An acknowledged alert has no such last command.

    >>> of(Alert(id=12, key="drift:churn"))[0]
    'mlkit drift check churn --explain'
    >>> of(Alert(id=12, key="drift:churn"))[-1]
    'mlkit alert ack 12'
    """
    if alert.resolved_at is not None:
        return ()
    matter, _, name = alert.key.partition(":")
    known = _STEPS.get(matter)
    steps = known(name) if known else ("mlkit status",)
    return steps if alert.acked_at is not None else (*steps, f"mlkit alert ack {alert.id}")
