"""The performance check of a champion: its loss on rows with an actual against its holdout."""

from datetime import datetime

import msgspec
import numpy as np
import pyarrow as pa

from mlkit.flows.alerts import policy
from mlkit.flows.log import evidence, judged_rows, maturity
from mlkit.flows.log.evidence import Window
from mlkit.flows.log.maturity import Delay, Ripe
from mlkit.flows.monitoring import causes, estimates, loss_words, silence, slices, verdicts
from mlkit.flows.monitoring.causes import Judgement
from mlkit.flows.monitoring.estimates import Estimate
from mlkit.flows.monitoring.verdicts import Matter
from mlkit.flows.registry import deploy
from mlkit.project import Project
from mlkit.settings import table
from mlkit.steps.drift.result import FeatureDrift
from mlkit.steps.inputs.answers import Predictions
from mlkit.steps.performance import judge, metrics
from mlkit.steps.performance.judge import PerformanceRule, Typical
from mlkit.steps.performance.metrics import Resampling
from mlkit.steps.performance.slices import SliceLoss
from mlkit.store.registry import ModelVersion
from mlkit.store.reports import PerformanceReport

_INTERVALS_ROWS = 20_000  # with more rows the further metrics have no interval: it takes seconds


class PerformanceChecked(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict of one performance check.

    ``reference`` is the loss on the holdout, ``limit`` the limit of ``value``, ``coverage`` the
    share of the window's predictions that have an actual, and ``maturity`` the share of the
    expected actuals that have come, null if the label delay is not known. ``judged_until`` is set
    if later rows were left out because their actuals are still coming. ``typical`` is the capped
    loss, ``unanswered`` the number of predictions that are not finite, ``slices`` the slices whose
    loss has risen, and ``estimated`` the expected loss of all rows. ``standing`` is as in
    ``DriftChecked``.
    """

    verdict: judge.Verdict
    model: str
    version: int
    window: Window
    metric: str
    value: float | None
    low: float | None
    high: float | None
    reference: float
    limit: float
    typical: Typical | None = None
    unanswered: int = 0
    rows: int
    coverage: float
    maturity: float | None
    delay: Delay
    judged_until: datetime | None
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    slices: tuple[SliceLoss, ...]
    estimated: Estimate | None
    target: FeatureDrift | None
    diagnosis: str
    warnings: tuple[str, ...]
    standing: bool = True
    summary: str


def check(project: Project, model: str, *, window: str | None = None) -> PerformanceChecked:
    """Compare the champion's loss on rows with an actual with its holdout's; record the verdict.

    Only rows old enough that nearly all of their actuals have come are judged. Raises ConflictError
    if ``model`` has no champion.
    """
    version = deploy.find_version(project, model)
    usual = project.settings.performance_window(model)
    stretch = evidence.window(project, window or usual)
    standing = stretch.end - stretch.start == table.duration(usual)
    answered = evidence.rows(project, version, stretch)
    ripe = maturity.pick(project, version, stretch, answered)
    checked = _judge(project, version, stretch, answered, ripe)
    checked = msgspec.structs.replace(checked, standing=standing)
    report = PerformanceReport(
        **verdicts.common(project, version, checked),
        rows=checked.rows,
        coverage=checked.coverage,
        standing=standing,
        estimate=estimates.row(version, stretch, checked.estimated) if standing else None,
    )
    with project.write() as s:
        verdicts.record(s, project, report, model, _matters(checked) if standing else ())
    if standing:  # no actual in a shorter window may be normal
        known = _known(answered)
        silence.watch_actuals(
            project, model, stretch.start, answered=answered.num_rows, known=known
        )
    return checked


def _matters(checked: PerformanceChecked) -> tuple[Matter, ...]:
    severity = policy.severity_of_loss(checked.low, checked.limit)
    return (
        verdicts.own("performance", checked, severity),
        slices.matter(checked.slices, checked.summary),
        estimates.matter(
            checked.estimated,
            limit=checked.limit,
            verdict=checked.verdict,
            coverage=checked.coverage,
        ),
    )


def _judge(
    project: Project, version: ModelVersion, stretch: Window, answered: pa.Table, ripe: Ripe
) -> PerformanceChecked:
    with_actual = ripe.rows.filter(ripe.rows["_actual"].is_valid())
    known, metric, losses, unanswered, warnings = judged_rows.of(version, with_actual)
    holdout = evidence.holdout(version, metric)
    rule, resampling = _rule(project, stretch), _resampling(project, known.num_rows)
    result = judge.judge(losses, holdout, rule, resampling, unanswered=unanswered)
    estimated = estimates.of(project, version, answered, stretch)
    answers = evidence.answers(version, known)
    sheets = slices.sheets(version, metric, known, answers, losses)
    failing = slices.failing(project, *sheets, rule)
    judged = Judgement(ripe.rows if with_actual.num_rows else answered, known, losses, sheets, rule)
    error = loss_words.change(result, holdout, rule)
    grown = result.grown or result.verdict != "degraded"
    target, said = causes.find(project, version, result.verdict if grown else "ok", judged, error)
    warnings += loss_words.carried(metric, known, losses, sheets[0])
    in_words = loss_words.verdict(result, metric, holdout, known.num_rows)
    if result.verdict == "ok" and failing:
        whole = in_words.removeprefix("ok: ")
        in_words = f"ok overall, but {slices.in_words(metric, failing)} (all: {whole})"
    if result.verdict == "insufficient_data" and ripe.hint:
        in_words = f"{in_words}; {ripe.hint}"
    further, intervals = _metrics(project, version, known, answers)
    return PerformanceChecked(
        verdict=result.verdict,
        model=version.model.name,
        version=version.number,
        window=stretch,
        metric=metric,
        value=result.value,
        low=result.low,
        high=result.high,
        reference=holdout.value,
        limit=result.limit,
        typical=result.typical,
        unanswered=unanswered,
        rows=known.num_rows,
        coverage=_known(answered) / answered.num_rows if answered.num_rows else 0.0,
        maturity=ripe.maturity,
        delay=ripe.delay,
        judged_until=ripe.until,
        metrics=further,
        intervals=intervals,
        slices=failing,
        estimated=estimated,
        target=target,
        diagnosis=said,
        warnings=warnings,
        summary=f"v{version.number} {'; '.join([in_words, *filter(None, [said]), *warnings])}",
    )


def _known(rows: pa.Table) -> int:
    return int(rows.num_rows - rows["_actual"].null_count)


def _rule(project: Project, stretch: Window) -> PerformanceRule:
    allowed = table.duration(project.settings.drift.false_alarm_every)
    share = (stretch.end - stretch.start) / allowed
    return PerformanceRule.from_settings(project.settings.performance, share=share)


def _metrics(
    project: Project, version: ModelVersion, known: pa.Table, answers: Predictions
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Return the usual metrics of the task, with intervals if that is cheap."""
    if not known.num_rows:
        return {}, {}
    schema = deploy.input_schema(version)
    resampling = _resampling(project, known.num_rows)
    cheap = known.num_rows <= _INTERVALS_ROWS
    found, intervals = metrics.evaluate(
        answers,
        known["_actual"].to_pylist(),
        schema.classes,
        task=schema.task,
        resampling=resampling if cheap else resampling._replace(rounds=0),
    )
    return found, {name: limits for name, limits in intervals.items() if np.isfinite(limits).all()}


def _resampling(project: Project, rows: int) -> Resampling:
    chosen = project.settings.train
    return Resampling(
        rounds=chosen.bootstrap,
        confidence=chosen.confidence,
        seed=chosen.seed,
        block=metrics.block_length(rows, ordered=True),
    )
