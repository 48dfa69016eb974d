"""Estimate the loss of predictions before their actuals come.

No estimate can detect concept drift, a changed relation of inputs and target: that takes actuals.
How the estimators are fitted and checked is in ``estimation_fit``.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import msgspec
import numpy as np
from scipy import special

from mlkit.steps.inputs import bounds, encode
from mlkit.steps.inputs.answers import Label, Predictions
from mlkit.steps.inputs.columns import InputSchema
from mlkit.steps.performance import additive, calibration, class_shares
from mlkit.steps.performance.additive import Additive
from mlkit.steps.performance.calibration import Curve
from mlkit.steps.performance.class_shares import Looks

Way = Literal["calibration", "inputs", "base_rate", "unchanged"]
"""From calibrated probabilities; with a correction by the inputs; corrected for prior shift; or
no estimate, which leaves the loss on the holdout.
"""

_MOST_COLUMNS: Final = 200
_FAR: Final = 0.05  # share of a column's values outside its range on the holdout
_SMALLEST: Final = float(np.finfo(float).eps)


class Parts(NamedTuple):
    """The terms of an expected loss: a constant, calibration curves, a function of the inputs."""

    level: float
    curves: tuple[Curve, ...] = ()
    inputs: Additive | None = None


class Estimation(msgspec.Struct, frozen=True, kw_only=True):
    """The fitted estimator of a version's loss.

    ``loss`` is that on the holdout, ``spread`` the standard deviation of the residuals (a row's
    loss minus its expected loss), ``tau`` their design effect, and ``slack`` the standard error of
    an estimate as a share of its distance from ``loss``. ``names`` are the inputs, ``base`` the
    class shares. ``calibrated`` are the parts without inputs, None without probabilities.
    """

    metric: str
    way: Way
    trusted: bool
    reason: str
    rows: int
    loss: float
    spread: float
    tau: float
    slack: float
    names: tuple[str, ...]
    classes: tuple[Label, ...]
    calibrated: Parts | None
    inputs: Additive
    base: np.ndarray
    looks: Looks | None

    @property
    def parts(self) -> Parts:
        """The terms of the expected loss for this ``way``."""
        if self.way == "unchanged":
            return Parts(self.loss)
        base = self.calibrated or Parts(0.0)
        return base if self.way == "calibration" else base._replace(inputs=self.inputs)


class Estimated(msgspec.Struct, frozen=True, kw_only=True):
    """The expected mean loss of some rows with its interval, and whether it can be trusted.

    ``least`` is the lower limit if only half of the estimated change is real; alerts use it.
    """

    value: float
    low: float
    high: float
    least: float
    way: Way
    trusted: bool
    reason: str


class Answered(NamedTuple):
    """Rows with their predictions.

    ``matrix`` has the predictions as further columns. ``places`` are the indexes of the predicted
    classes, -1 for an unknown one; empty for a regression.
    """

    matrix: np.ndarray
    places: np.ndarray
    probabilities: np.ndarray | None

    def pick(self, chosen: np.ndarray) -> "Answered":
        """Return the rows that are chosen."""
        told = self.probabilities
        places = self.places[chosen] if len(self.places) else self.places
        return Answered(self.matrix[chosen], places, None if told is None else told[chosen])


def answered(matrix: np.ndarray, answers: Predictions, classes: Sequence[Label]) -> Answered:
    """Return rows with their predictions, for a regression if there are no ``classes``."""
    if not classes:
        values = np.array(answers.values, dtype=float)
        return Answered(np.column_stack([matrix, values]), np.zeros(0, dtype=int), None)
    places = indexes(answers.values, classes)
    told = answers.probabilities
    beside = places.astype(float)[:, None] if told is None else told[:, 1:]
    return Answered(np.column_stack([matrix, beside]), places, told)


def indexes(labels: Sequence[object], classes: Sequence[Label]) -> np.ndarray:
    """Return the place of each label among the classes, -1 for any other."""
    place: dict[object, int] = {label: number for number, label in enumerate(classes)}
    return np.array([place.get(label, -1) for label in labels], dtype=int)


def expected(metric: str, parts: Parts, rows: Answered) -> np.ndarray:
    """Return the expected loss of each row.

    A probability of 0.8 that comes true in 7 of 10 cases is wrong in 3 of 10:

    >>> curve = calibration.Curve(np.array([0.2, 0.8]), np.array([0.3, 0.7]))
    >>> said = np.array([[0.2, 0.8], [0.8, 0.2]])
    >>> rows = Answered(np.zeros((2, 0)), np.array([1, 0]), said)
    >>> expected("error_rate", Parts(0.0, (curve,)), rows).round(6).tolist()
    [0.3, 0.3]
    """
    found = np.full(len(rows.matrix), parts.level)
    if parts.curves and rows.probabilities is not None:
        found += of_chances(metric, rows, calibration.apply(parts.curves, rows.probabilities))
    if parts.inputs is not None:
        found = found + additive.answer(parts.inputs, rows.matrix)
    return found


def of_chances(metric: str, rows: Answered, chances: np.ndarray) -> np.ndarray:
    """Return the expected loss of each row if its classes come true with ``chances``."""
    if metric == "log_loss" and rows.probabilities is not None:
        surprise = -np.log(np.clip(rows.probabilities, _SMALLEST, 1.0))
        lost: np.ndarray = (chances * surprise).sum(axis=1)
        return lost
    right = chances[np.arange(len(chances)), rows.places]
    return np.where(rows.places >= 0, 1 - right, 1.0)


def estimate(known: Estimation, rows: Answered, *, confidence: float) -> Estimated:
    """Return the expected mean loss of ``rows``, of which there must be one.

    The interval is value ± z sqrt(chance² + (slack (value - loss))²): sampling error, and an error
    in proportion to the estimated change.
    """
    way, trusted, reason = known.way, known.trusted, known.reason
    now = _moved_shares(known, rows)
    if now is None:
        value = float(expected(known.metric, known.parts, rows).mean())
    else:
        value = _at_shares(known, rows, now)
        way, trusted, reason = "base_rate", True, _shares_in_words(known, now)
    beyond = _beyond(known, rows)
    if beyond and trusted:
        trusted, reason = False, beyond
    value = max(value, 0.0)
    quantile = float(special.ndtri((1 + confidence) / 2))
    chance, drift = _chance(known, value, len(rows.matrix)), known.slack * (value - known.loss)
    half = quantile * float(np.hypot(chance, drift))
    return Estimated(
        value=value,
        low=max(value - half, 0.0),
        high=value + half,
        least=max((value + known.loss) / 2 - quantile * chance, 0.0),
        way=way,
        trusted=trusted,
        reason=reason,
    )


def inputs(schema: InputSchema, matrix: np.ndarray) -> np.ndarray:
    """Return the columns whose values a window can share with the holdout.

    Clipped to numbers whose squares can be summed.
    """
    drawn: np.ndarray = np.clip(matrix[:, lasting(schema)], -bounds.TARGET, bounds.TARGET)
    return drawn


def lasting(schema: InputSchema) -> list[int]:
    """Return the places of all columns but calendar days, none if there are too many columns.

    With very many columns the fit would find chance relations, and take too long.
    """
    kept = encode.lasting(schema, passing=("days",))
    return kept if len(kept) <= _MOST_COLUMNS else []


def _moved_shares(known: Estimation, rows: Answered) -> np.ndarray | None:
    """Return the estimated class shares under prior shift, None without prior shift."""
    if known.calibrated is None or known.looks is None or rows.probabilities is None:
        return None
    seen = class_shares.count(known.looks.edges, rows.matrix)
    if not class_shares.moved(known.looks, seen):
        return None
    now = class_shares.shares(
        calibration.apply(known.calibrated.curves, rows.probabilities), known.base
    )
    return now if class_shares.explained(known.looks, seen, now) else None


def _at_shares(known: Estimation, rows: Answered, now: np.ndarray) -> float:
    """Return the mean loss if the classes' shares have become ``now``."""
    if known.calibrated is None or rows.probabilities is None:
        return known.loss
    chances = calibration.apply(known.calibrated.curves, rows.probabilities)
    corrected = class_shares.correct(chances, known.base, now)
    return known.calibrated.level + float(of_chances(known.metric, rows, corrected).mean())


def _chance(known: Estimation, value: float, rows: int) -> float:
    """Return the standard error of the estimate by the sampling of the window and the holdout.

    spread sqrt(scale² tau / m + tau / n) for m rows here and n of the holdout. The standard
    deviation of losses grows with their mean, hence ``scale``.
    """
    scale = max(value / known.loss, 1.0) if known.loss > 0 else 1.0
    here, there = (min(known.tau / count, 1.0) for count in (rows, known.rows))
    return float(known.spread * np.sqrt(here * scale**2 + there))


def _beyond(known: Estimation, rows: Answered) -> str:
    """Name the column with the most values outside its range on the holdout; empty if few are."""
    width = rows.matrix.shape[1]
    shares = additive.outside(known.inputs, rows.matrix)
    worst = int(np.argmax(shares)) if width else 0
    if not width or shares[worst] <= _FAR:
        return ""
    name = known.names[worst] if worst < len(known.names) else "its answers"
    return f"{shares[worst]:.0%} of {name} lies beyond all that it was checked on"


def _shares_in_words(known: Estimation, now: np.ndarray) -> str:
    place = int(np.argmax(np.abs(now - known.base)))
    return (
        f"only the base rate seems to have moved: {known.classes[place]} from "
        f"{known.base[place]:.0%} to {now[place]:.0%}"
    )
