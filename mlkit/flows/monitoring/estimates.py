"""Estimate the loss before actuals come, and later record the error of the estimate.

The estimator is fitted when a version is trained (``estimate_training``) and stored beside its
reference.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from mlkit.flows.log import evidence, judged_rows
from mlkit.flows.log.evidence import Window
from mlkit.flows.monitoring import history
from mlkit.flows.monitoring.verdicts import Matter
from mlkit.flows.registry import deploy
from mlkit.project import Project, Session
from mlkit.steps.inputs import encode, schema_inference
from mlkit.steps.performance import estimation, estimation_file
from mlkit.steps.performance.estimation import Estimated, Way
from mlkit.store import estimates
from mlkit.store.estimates import PerformanceEstimate
from mlkit.store.registry import ModelVersion

_MOST_ROWS = 100_000
_JUDGED = 0.5  # share of predictions with an actual from which on no estimate is needed
_REMEMBERED = 12  # earlier windows whose estimates are compared
_FEWEST = 4  # earlier windows, at least, that can make an estimate untrusted
_PATIENCE = 10  # window lengths after which no more actuals are expected


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """The expected loss of a window, and the error of earlier estimates.

    ``way`` names the estimator; "unchanged" is the loss on the holdout. ``least`` is the lower
    limit if only half of the change from the holdout is real. ``past_error`` is the median absolute
    error of the estimates of the last ``past_windows`` windows with actuals; a median, because one
    window with a few huge losses must not decide it.
    """

    metric: str
    value: float
    low: float
    high: float
    least: float
    rows: int
    way: Way
    trusted: bool
    reason: str
    past_error: float | None
    past_windows: int


def of(
    project: Project, version: ModelVersion, answered: pa.Table, stretch: Window
) -> Estimate | None:
    """Return the expected loss of the answered rows of a window; None if there are none."""
    _compare_earlier(project, version, stretch)
    answered = judged_rows.answered(answered)
    if not answered.num_rows:
        return None
    thin = answered.take(np.arange(0, answered.num_rows, -(-answered.num_rows // _MOST_ROWS)))
    metric, found = _estimate(project, version, thin)
    with project.read() as s:
        past = estimates.latest_realised(s, version.id, _REMEMBERED)
    doubt = _doubt(past)
    return Estimate(
        metric=metric,
        value=found.value,
        low=found.low,
        high=found.high,
        least=found.least,
        rows=answered.num_rows,
        way=found.way,
        trusted=found.trusted and not doubt,
        reason=doubt if found.trusted and doubt else found.reason,
        past_error=past_error(past),
        past_windows=len(past),
    )


def past_error(past: Sequence[PerformanceEstimate]) -> float | None:
    """Return the median absolute error of the estimates, None without any."""
    errors = [abs(each.value - each.realised) for each in past if each.realised is not None]
    return float(np.median(errors)) if errors else None


def row(
    version: ModelVersion, stretch: Window, found: Estimate | None
) -> PerformanceEstimate | None:
    """Return the row that is stored with the report."""
    if found is None:
        return None
    return PerformanceEstimate(
        model_version_id=version.id,
        window_start=stretch.start,
        window_end=stretch.end,
        metric=found.metric,
        value=found.value,
        low=found.low,
        high=found.high,
        trusted=found.trusted,
        rows=found.rows,
    )


def matter(found: Estimate | None, *, limit: float, verdict: str, coverage: float) -> Matter:
    """Return the matter of the alert ``estimate:MODEL``: the expected loss is above ``limit``."""
    told = "no estimate" if found is None else in_words(found)
    summary = f"estimated, no actuals yet: {told}, {limit:.4g} is tolerated"
    details = {} if found is None else msgspec.to_builtins(found)
    judged = _have_judged(verdict, coverage)
    ended = "actuals have judged the window" if judged else f"the estimate is {told}"
    return Matter("estimate", "estimate", said, summary, ended, details)


def said(details: Mapping[str, Any]) -> str:
    """Return the state of the expected loss, from the details of a performance report.

    It is "high" only if it is above the limit even if half of the change is not real, because its
    error can be larger than the sampling error. It is "ok" once actuals have judged the window.
    """
    found, coverage = details.get("estimated") or {}, history.number(details.get("coverage"))
    if _have_judged(details.get("verdict", "insufficient_data"), coverage or 0.0):
        return "ok"
    least, limit = history.number(found.get("least")), history.number(details.get("limit"))
    if not found.get("trusted") or least is None or limit is None:
        return "insufficient_data"
    return "high" if least > limit else "ok"


def _have_judged(verdict: str, coverage: float) -> bool:
    return verdict != "insufficient_data" and coverage >= _JUDGED


def in_words(found: Estimate) -> str:
    """Return the value with its interval."""
    assumed = " (assumed unchanged)" if found.way == "unchanged" and not found.trusted else ""
    return f"{found.metric} {found.value:.4g} [{found.low:.4g}, {found.high:.4g}]{assumed}"


def _estimate(project: Project, version: ModelVersion, rows: pa.Table) -> tuple[str, Estimated]:
    if version.estimation_sha256 is None:
        metric = evidence.losses(version, rows.slice(0, 0))[0]
        why = f"v{version.number} has learned no estimate: train again (see: mlkit retrain)"
        return metric, _unchanged(version, metric, why)
    known = estimation_file.load(project.references.read(version.estimation_sha256))
    schema = deploy.input_schema(version)
    answers = evidence.answers(version, rows)
    if known.calibrated is not None and answers.probabilities is None:
        return known.metric, _unchanged(version, known.metric, "answers lack their probabilities")
    matrix = encode.matrix_of_table(schema_inference.relaxed(schema), rows)
    asked = estimation.answered(estimation.inputs(schema, matrix), answers, schema.classes)
    confidence = project.settings.train.confidence
    return known.metric, estimation.estimate(known, asked, confidence=confidence)


def _unchanged(version: ModelVersion, metric: str, why: str) -> Estimated:
    value, high, *_ = evidence.holdout(version, metric)
    low = history.number(version.intervals.get(metric, (value, high))[0])
    low = value if low is None else low
    return Estimated(
        value=value,
        low=min(low, value),
        high=high,
        least=min(low, value),
        way="unchanged",
        trusted=False,
        reason=why,
    )


def _doubt(past: list[PerformanceEstimate]) -> str:
    """Return why earlier estimates make this one untrusted, empty if they do not."""
    missed = sum(1 for each in past if each.realised is not None and not _held(each, each.realised))
    if len(past) < _FEWEST or 2 * missed <= len(past):
        return ""
    return f"the truth lay outside its interval in {missed} of the last {len(past)} windows"


def _held(each: PerformanceEstimate, realised: float) -> bool:
    return each.low <= realised <= each.high


def _compare_earlier(project: Project, version: ModelVersion, stretch: Window) -> None:
    """Compare one earlier estimate with the actuals that have come since.

    Its window ended before this one began and overlaps with no window compared before, so each
    check reads at most twice the rows that it judges.
    """
    with project.read() as s:
        open_one = _next_uncompared(s, version, stretch, project.settings.performance.min_rows)
    if open_one is None:
        return
    then = Window(start=open_one.window_start, end=open_one.window_end)
    answered = evidence.rows(project, version, then)
    known = answered.filter(answered["_actual"].is_valid())
    _, metric, losses, *_ = judged_rows.of(version, known)
    if len(losses) < project.settings.performance.min_rows or metric != open_one.metric:
        return
    with project.write() as s:
        estimates.realise(s, open_one.id, float(losses.mean()), rows=len(losses), now=project.now())


def _next_uncompared(
    s: Session, version: ModelVersion, stretch: Window, least: int
) -> PerformanceEstimate | None:
    length = stretch.end - stretch.start
    done = estimates.latest_realised(s, version.id, 1)
    oldest = stretch.start - _PATIENCE * length
    start = max(oldest, done[0].window_end) if done else oldest
    return estimates.next_to_realise(s, version.id, start=start, end=stretch.start, rows=least)
