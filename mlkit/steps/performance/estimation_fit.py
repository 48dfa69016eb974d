"""Learn how to estimate a loss, and find out on the holdout whether the estimate is to be trusted.

Of the ways of ``estimation`` the simplest is taken that says rightly how the losses of the
holdout's parts differ, on rows that it has not learned from. Where none does, nothing is claimed.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from mlkit.steps.drift import correlation
from mlkit.steps.inputs.answers import Label
from mlkit.steps.performance import additive, calibration, class_shares, lack_of_fit
from mlkit.steps.performance.estimation import Answered, Estimation, Parts, Way, expected
from mlkit.steps.performance.lack_of_fit import LackOfFit

_FEWEST: Final = 500  # so that most parts of a fifth have enough rows to count
_FOLDS: Final = 5
_GOOD: Final = 0.5  # an estimate that is trusted leaves so much at most of what differs there
_DOUBT: Final = 0.3  # and is not taken to leave less: windows move further than such parts
_ALIKE: Final = 0.05  # parts whose losses differ by less, relative to all, are alike
_FINE: Final = 0.1  # if chance moves a part's loss by less, relative to all
_COARSE: Final = 0.25  # by more, and nothing can be said


class Material(NamedTuple):
    """Rows that the model has not learned from: what they cost, and which class was right."""

    metric: str
    rows: Answered
    losses: np.ndarray
    actual: np.ndarray
    classes: Sequence[Label] = ()
    names: Sequence[str] = ()
    ordered: bool = False


class _Choice(NamedTuple):
    way: Way
    trusted: bool
    reason: str
    slack: float


def fit(given: Material) -> Estimation:
    """Return what estimates the mean of ``given.losses`` for other rows."""
    learned = _learn(given, np.ones(len(given.losses), dtype=bool))
    residuals = _residuals(given)
    tau = _tau(residuals["unchanged"]) if given.ordered else 1.0
    choice = _choose(given, residuals, tau)
    rows, actual, classes = given.rows, given.actual, len(given.classes)
    lookable = rows.probabilities is not None and len(given.losses) >= _FEWEST
    level = learned["unchanged"].level
    return Estimation(
        metric=given.metric,
        way=choice.way,
        trusted=choice.trusted,
        reason=choice.reason,
        rows=len(given.losses),
        loss=level,
        spread=float(residuals[choice.way].std()),
        tau=tau,
        slack=choice.slack,
        names=tuple(given.names),
        classes=tuple(given.classes),
        calibrated=learned.get("calibration"),
        inputs=learned["inputs"].inputs or additive.fit(rows.matrix, given.losses),
        base=np.bincount(actual[actual >= 0], minlength=classes) / max((actual >= 0).sum(), 1),
        looks=class_shares.look(rows.matrix, actual, classes) if lookable else None,
    )


def _learn(given: Material, chosen: np.ndarray) -> dict[Way, Parts]:
    """Return every way there is, learned from the chosen rows."""
    rows, losses = given.rows.pick(chosen), given.losses[chosen]
    level = float(losses.mean())
    ways: dict[Way, Parts] = {"unchanged": Parts(level)}
    base = Parts(0.0)
    if rows.probabilities is not None:
        curves = calibration.fit(rows.probabilities, given.actual[chosen])
        base = ways["calibration"] = _level(given.metric, Parts(0.0, curves), rows, losses)
    left = losses - expected(given.metric, base, rows)
    ways["inputs"] = base._replace(inputs=additive.fit(rows.matrix, left))
    return ways


def _level(metric: str, parts: Parts, rows: Answered, losses: np.ndarray) -> Parts:
    """Return ``parts`` so that they expect of these rows what these have lost, where it matters.

    Isotonic curves keep counts, and so rates of errors; of surprise at what is hardly ever said
    they know little.
    """
    if metric != "log_loss":
        return parts
    return parts._replace(level=float((losses - expected(metric, parts, rows)).mean()))


def _fold(given: Material) -> np.ndarray:
    """Return which fifth each row belongs to, in their order."""
    return np.arange(len(given.losses)) * _FOLDS // len(given.losses)


def _residuals(given: Material) -> dict[Way, np.ndarray]:
    """Return how far each way is off, row by row, learned from the other four fifths."""
    if len(given.losses) < _FEWEST:
        return {"unchanged": given.losses - given.losses.mean()}
    fold = _fold(given)
    found: dict[Way, np.ndarray] = {}
    for number in range(_FOLDS):
        out = fold == number
        for way, parts in _learn(given, ~out).items():
            off = given.losses[out] - expected(given.metric, parts, given.rows.pick(out))
            found.setdefault(way, np.zeros(len(out)))[out] = off
    return found


def _choose(given: Material, residuals: dict[Way, np.ndarray], tau: float) -> _Choice:
    total, count = float(given.losses.mean()), len(given.losses)
    if count < _FEWEST:
        why = f"its holdout of {count} rows is too small to learn from ({_FEWEST} are needed)"
        return _Choice("unchanged", False, why, 1.0)
    ways = lack_of_fit.cut(given.rows.matrix, _fold(given))
    found = {way: lack_of_fit.measure(ways, off, tau=tau) for way, off in residuals.items()}
    still = found["unchanged"]
    differ, chance = (float(np.sqrt(part)) for part in (still.real, still.chance))
    if chance > _COARSE * total or (differ <= _ALIKE * total and chance > _FINE * total):
        why = f"its holdout of {count} rows is too small to check an estimate on"
        return _Choice("unchanged", False, why, 1.0)
    return _best(found, alike=differ <= _ALIKE * total)


def _best(found: dict[Way, LackOfFit], *, alike: bool) -> _Choice:
    differ = found["unchanged"].real or 1.0
    left = {way: lack.real / differ for way, lack in found.items()}
    way: Way = "inputs"
    if left.get("calibration", np.inf) <= left["inputs"]:
        way = "calibration"
    slack = float(np.sqrt(min(max(left[way], _DOUBT), 1.0)))
    told = "its probabilities" if way == "calibration" else "its inputs"
    if left[way] <= _GOOD:
        return _Choice(way, True, f"{told} tell how the losses of the holdout differ", slack)
    if alike:
        why = "the loss is nearly the same in all parts of its holdout"
        return _Choice(way if left[way] < 1 else "unchanged", True, why, 1.0)
    if left[way] < 1:
        why = f"{told} tell less than half of how the losses of the holdout differ"
        return _Choice(way, False, why, slack)
    why = "on its holdout neither probabilities nor inputs tell where the loss is larger"
    return _Choice("unchanged", False, why, 1.0)


def _tau(residuals: np.ndarray) -> float:
    quarters = np.quantile(residuals, (0.25, 0.5, 0.75))
    return correlation.time([residuals <= quarter for quarter in quarters])
