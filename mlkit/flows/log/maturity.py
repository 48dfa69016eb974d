"""Label delay: how long actuals take in this log, and which rows have matured."""

import math
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.flows.log import log_segments
from mlkit.flows.log.evidence import Window
from mlkit.project import Project
from mlkit.steps.performance import delay
from mlkit.steps.performance.delay import Curve
from mlkit.store import arrivals, predictions, segments
from mlkit.store.registry import ModelVersion

_HORIZON = timedelta(days=120)
_PLACES = 64
_ROWS = 200  # of each place
_SEGMENTS = 16
_DAY_S = 86_400
_HOUR_S = 3_600


class Delay(msgspec.Struct, frozen=True, kw_only=True):
    """The label delay: its median ``p50_s`` and its 90th percentile ``p90_s``, in seconds.

    ``ever`` is the share of predictions that ever get an actual. All are None if the log is too
    young to estimate them, or if actuals still arrive for its oldest rows.
    """

    p50_s: float | None = None
    p90_s: float | None = None
    ever: float | None = None


class Ripe(NamedTuple):
    """The matured rows of a window; ``until`` is when the last of them was served.

    ``until`` is None if the whole window has matured. ``maturity`` is the share of all expected
    actuals of the window that have arrived.
    """

    rows: pa.Table
    until: datetime | None
    maturity: float | None
    delay: Delay
    hint: str


def pick(project: Project, version: ModelVersion, stretch: Window, answered: pa.Table) -> Ripe:
    """Return the matured rows of ``answered``, the rows of the window."""
    known = answered["_actual"].is_valid().to_numpy()
    least = project.settings.performance.min_maturity
    if answered.num_rows and known.all():  # all actuals are here, whatever the label delay
        return Ripe(answered, None, 1.0, Delay(), "")
    curve = learn(project, version.model_id, stretch.end)
    if curve is None or not curve.settled:
        return Ripe(answered, None, None, Delay(), "")
    taken = Delay(p50_s=curve.quantile(0.5), p90_s=curve.quantile(0.9), ever=curve.ever)
    if not answered.num_rows:
        return Ripe(answered, None, None, taken, "")
    in_time = pc.sort_indices(answered["_served_at"]).to_numpy()
    ages = _ages_s(answered["_served_at"], stretch.end)[in_time]
    share = delay.maturity(curve, ages, known)
    count = delay.ripe(curve, ages, known[in_time], least=least)
    if count == answered.num_rows:
        return Ripe(answered, None, share, taken, "")
    kept = answered.take(np.sort(in_time[:count]))
    until = stretch.end - timedelta(seconds=float(ages[count - 1])) if count else stretch.start
    return Ripe(kept, until, share, taken, _hint(version, stretch, curve, least))


def learn(project: Project, model_id: int, now: datetime) -> Curve | None:
    """Return the label delay curve of a model's last 120 days; None without actuals.

    For rows in the database the delay ends when the actual was received, for sealed ones when it
    was observed. It is estimated from a sample of fixed size.
    """
    since = now - _HORIZON
    with project.read() as s:
        found = arrivals.sample(s, model_id, since, now, places=_PLACES, rows=_ROWS)
        sealed = segments.overlapping(s, model_id, since, now)
        for segment in sealed[:: -(-len(sealed) // _SEGMENTS) or 1]:
            rows = log_segments.glance(project, segment, _ROWS)
            late = predictions.actuals_of(s, [row[0] for row in rows if row[2] is None])
            found += [
                (served, late[identifier].received_at if identifier in late else observed)
                for identifier, served, observed in rows
            ]
    ages = np.array([(now - served).total_seconds() for served, _ in found])
    delays = np.array(
        [math.nan if came is None else (came - at).total_seconds() for at, came in found]
    )
    return delay.learn(delays, ages)


def length(seconds: float) -> str:
    """Format a duration for people.

    >>> length(40), length(5_400), length(86_400 * 3.2)
    ('40 s', '90 min', '3 days')
    """
    for size, unit in ((_DAY_S, "days"), (_HOUR_S, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _hint(version: ModelVersion, stretch: Window, curve: Curve, least: float) -> str:
    asked = (stretch.end - stretch.start).total_seconds()
    hours = math.ceil((asked + curve.quantile(least)) / _HOUR_S)
    window = f"{math.ceil(hours / 24)}d" if hours > 48 else f"{hours}h"
    return (
        f"actuals take {length(curve.quantile(0.9))} (90 % by then) and belong to older "
        f"predictions; look at a window of {window} "
        f"(mlkit perf check {version.model.name} --window {window})"
    )


def _ages_s(served: pa.ChunkedArray, now: datetime) -> np.ndarray:
    moments = served.cast(pa.int64()).to_numpy()
    ages: np.ndarray = now.timestamp() - moments / 1e6
    return ages
