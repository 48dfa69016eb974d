"""Say what the loss will be before actuals come, and later how far off that was.

What is estimated with is learned when a version is trained (``estimate_training``), and lies beside
its reference.
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
_JUDGED = 0.5  # share of predictions with an actual, from which on no estimate is needed
_REMEMBERED = 12
_FEWEST = 4  # windows, before an estimate is no longer trusted for having been wrong
_PATIENCE = 10  # windows' lengths, after which no actual is waited for


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """The loss that is expected of a window, and what is known of earlier estimates.

    ``way`` says what it comes from; "unchanged" is the holdout's own loss. ``least`` is what it
    will be at least if only half of the change from the holdout is real. ``past_error`` is by
    how much the estimates of the last ``past_windows`` windows with actuals were off: the median,
    which one window with a few huge losses does not decide.
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
    """Return the loss expected of the answered rows of a window; None if there is no row."""
    _look_back(project, version, stretch)
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
    """Return by how much estimates were off, None without any: few huge losses do not decide it."""
    errors = [abs(each.value - each.realised) for each in past if each.realised is not None]
    return float(np.median(errors)) if errors else None


def row(
    version: ModelVersion, stretch: Window, found: Estimate | None
) -> PerformanceEstimate | None:
    """Return what is put on record beside the report."""
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
    """Return what the alert ``estimate:MODEL`` is about: the loss will lie above ``limit``."""
    told = "no estimate" if found is None else in_words(found)
    summary = f"estimated, no actuals yet: {told}, {limit:.4g} is tolerated"
    details = {} if found is None else msgspec.to_builtins(found)
    judged = _have_judged(verdict, coverage)
    ended = "actuals have judged the window" if judged else f"the estimate is {told}"
    return Matter("estimate", "estimate", said, summary, ended, details)


def said(details: Mapping[str, Any]) -> str:
    """Return how the expected loss stands, by the details of a performance report.

    It must be above the limit even if only half of the change is real: it may be off by more than
    chance. Once actuals have judged the window it says nothing that they do not say better.
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
    """Return why earlier estimates speak against this one, or nothing."""
    missed = sum(1 for each in past if each.realised is not None and not _held(each, each.realised))
    if len(past) < _FEWEST or 2 * missed <= len(past):
        return ""
    return f"the truth lay outside its interval in {missed} of the last {len(past)} windows"


def _held(each: PerformanceEstimate, realised: float) -> bool:
    return each.low <= realised <= each.high


def _look_back(project: Project, version: ModelVersion, stretch: Window) -> None:
    """Compare one earlier estimate with the actuals that have come since.

    It is of a window that ended a window's length ago and overlaps with none that is compared
    already, so that each check reads as many rows again at most as it judges.
    """
    with project.read() as s:
        open_one = _open(s, version, stretch, project.settings.performance.min_rows)
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


def _open(
    s: Session, version: ModelVersion, stretch: Window, least: int
) -> PerformanceEstimate | None:
    length = stretch.end - stretch.start
    done = estimates.latest_realised(s, version.id, 1)
    oldest = stretch.start - _PATIENCE * length
    start = max(oldest, done[0].window_end) if done else oldest
    return estimates.next_to_realise(s, version.id, start=start, end=stretch.start, rows=least)
