"""The gate: checks whether a candidate may serve; one failed check refuses it."""

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from mlkit.steps.inputs.columns import InputSchema, Kind
from mlkit.steps.performance import metrics
from mlkit.steps.performance.metrics import Interval, Resampling

Outcome = Literal["pass", "fail"]
_OUTER = 0.05  # share of the differences that is winsorised on each side
_WIDER: frozenset[tuple[Kind, Kind]] = frozenset({("integer", "number")})
_NEW = " is new"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one check of the gate."""

    name: str
    outcome: Outcome
    detail: str


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate against a rival on the same rows: mean losses and their paired difference.

    ``unanswered`` is the number of rows without a finite prediction of the rival; they are left out
    of both. ``typical`` is the interval of the winsorised difference, None if winsorising changes
    nothing.
    """

    rival: str
    metric: str
    candidate: float
    other: float
    difference: float
    low: float
    high: float
    rows: int
    unanswered: int = 0
    typical: tuple[float, float] | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict of the gate; ``reason`` is the line for people."""

    accepted: bool
    reason: str
    checks: tuple[Check, ...] = ()
    comparison: Comparison | None = None


def compare(
    rival: str, metric: str, losses: np.ndarray, others: np.ndarray, interval: Interval
) -> Comparison:
    """Return the comparison of row losses; ``interval`` is that of ``losses - others``."""
    return Comparison(
        rival=rival,
        metric=metric,
        candidate=float(losses.mean()),
        other=float(others.mean()),
        difference=interval.mean,
        low=interval.low,
        high=interval.high,
        rows=len(losses),
    )


def typical(differences: np.ndarray, resampling: Resampling) -> tuple[float, float] | None:
    """Return the bootstrap interval of the winsorised mean difference (Tukey 1962).

    Differences are clipped to their 5 % and 95 % quantiles, so that a few rows cannot decide it,
    however large their losses. None if the two quantiles are equal.
    """
    low, high = np.quantile(differences, [_OUTER, 1 - _OUTER])
    if low == high:
        return None
    found = metrics.mean_interval(np.clip(differences, low, high), resampling)
    return found.low, found.high


def judge(checks: Sequence[Check], comparison: Comparison | None = None) -> Verdict:
    """Return the verdict: the first failed check gives the reason, else the last one does."""
    failed = [check for check in checks if check.outcome == "fail"]
    return Verdict(
        accepted=not failed,
        reason=(failed[0] if failed else checks[-1]).detail,
        checks=tuple(checks),
        comparison=comparison,
    )


def golden(*, reproduced: bool) -> Check:
    """Return the check that the artifact, reloaded from disk, gives the same predictions."""
    detail = "answers are the same" if reproduced else "answers differ"
    return _check("golden", f"{detail} after a reload from disk", passed=reproduced)


def served(trouble: str) -> Check:
    """Return the check that a request with the golden rows gets the recorded predictions."""
    detail = "a request with the golden rows gets their answers"
    if trouble:
        detail = f"a request with the golden rows would be refused: {trouble}"
    return _check("request", detail, passed=not trouble)


def latency(milliseconds: float, limit: float) -> Check:
    """Return the check of the median time for one row."""
    passed = milliseconds <= limit
    detail = f"one row takes {milliseconds:.2g} ms, {limit:g} ms are allowed"
    return _check("latency", detail, passed=passed)


def schema(candidate: InputSchema, champion: InputSchema | None, label: str) -> Check:
    """Return the check that clients of the champion can call the candidate unchanged."""
    problems = [] if champion is None else _breaks(candidate, champion)
    detail = "it fits"
    if problems:
        detail = f"clients of {label} would break: {'; '.join(problems)}{_way_out(problems)}"
    return _check("schema", detail, passed=not problems)


def answers(unanswered: int, rows: int) -> Check:
    """Return the check that the candidate has a finite prediction for every holdout row."""
    detail = f"no finite answer to {unanswered} of {rows} holdout rows"
    return _check("answers", detail, passed=not unanswered)


def better(found: Comparison, *, min_rows: int, champion: bool) -> Check:
    """Return the check that the whole interval of the loss difference is below zero.

    A rival without a finite prediction for some rows loses unless it is better on the others. The
    winsorised difference must not show that the candidate is worse: then a few rows would decide
    against all others.
    """
    name = "champion" if champion else "dummy"
    kept = f"kept {found.rival}: " if champion else ""
    losses = f"{found.metric} {_number(found.candidate)} against {_number(found.other)}"
    if champion and found.rows < min_rows:
        detail = f"{kept}{found.rows} holdout rows are too few to compare, {min_rows} needed"
        return _check(name, detail, passed=False)
    if found.unanswered:
        return _against_gaps(found, name, f"{kept or f'not better than {found.rival}: '}{losses}")
    if found.high < 0 and found.typical is not None and found.typical[0] > 0:
        low, high = found.typical
        detail = (
            f"{kept}{losses}, but few rows decide that: with a cap on each it is worse by "
            f"[{low:.2g}, {high:.2g}]"
        )
        return _check(name, detail, passed=False)
    if found.high < 0:
        span = f"difference {found.difference:.2g} [{found.low:.2g}, {found.high:.2g}]"
        return _check(name, f"beats {found.rival}: {losses}, {span}", passed=True)
    why = "interval includes 0" if found.low <= 0 else "it is worse"
    detail = f"{kept or f'not better than {found.rival}: '}{losses}, {why}"
    return _check(name, detail, passed=False)


def _against_gaps(found: Comparison, name: str, losses: str) -> Check:
    """Return the same check for a rival without a finite prediction for some rows."""
    gaps = f"no finite answer to {found.unanswered} of {found.rows + found.unanswered} rows"
    if found.low > 0:
        return _check(name, f"{losses} where both answer, it is worse", passed=False)
    shown = f"{found.metric} {_number(found.candidate)} against {_number(found.other)}"
    detail = f"beats {found.rival}, which has {gaps}: {shown} on the others"
    return _check(name, detail, passed=True)


def ladder(explanation: str) -> Check:
    """Return a check that notes why this estimator was chosen."""
    return _check("ladder", explanation, passed=True)


def unanswered(label: str, problem: str) -> Check:
    """Return a check that notes that the champion failed, so the dummy is the rival."""
    return _check("champion", f"{label} could not answer these rows: {problem}", passed=True)


def sufficient(explanation: str) -> Check:
    """Return a check that notes that no model was better than the dummy."""
    return _check("dummy", explanation, passed=True)


def _check(name: str, detail: str, *, passed: bool) -> Check:
    return Check(name=name, outcome="pass" if passed else "fail", detail=detail)


def _breaks(candidate: InputSchema, champion: InputSchema) -> list[str]:
    known = {column.name: column for column in champion.columns}
    problems = []
    if candidate.task != champion.task:
        problems.append(f"the task was {champion.task} and is now {candidate.task}")
    for column in candidate.columns:
        before = known.get(column.name)
        if before is None:
            problems.append(f"column '{column.name}'{_NEW}")
        elif column.kind != before.kind and (before.kind, column.kind) not in _WIDER:
            problems.append(f"column '{column.name}' was {before.kind} and is now {column.kind}")
        elif before.nullable and not column.nullable:
            problems.append(f"column '{column.name}' may not be null any more")
    return problems


def _way_out(problems: Sequence[str]) -> str:
    """Return the advice about columns that clients do not send."""
    new = [
        text.removeprefix("column ").removesuffix(_NEW) for text in problems if text.endswith(_NEW)
    ]
    if not new:
        return ""
    return (
        f"; leave it out (mlkit train --ignore {new[0]}), train a model of another name, or, once "
        "clients send it, promote the version with --force"
    )


def _number(value: float) -> str:
    return f"{value:.3g}"
