"""A model, the rows it was judged on and the rows it answers later; and what may happen to those.

The model knows the truth of its own time: the probability of the second class, or the mean of a
number. Everything is drawn by the generator that is handed in.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from scipy.signal import lfilter

from mlkit.steps.inputs.answers import Label, Predictions
from mlkit.steps.inputs.columns import Column, InputSchema, Task
from mlkit.steps.performance import metrics, slices
from mlkit.steps.performance.slices import Judged

NUMBERS = ("a", "b", "c", "d", "e")
LABELS = ("JFK", "LGA", "EWR", "BOS")
SHARES = (0.4, 0.3, 0.2, 0.1)
CLASSES = ("no", "yes")
_WEIGHTS = np.array([1.0, -0.8, 0.5, 0.3, 0.0])


class World(NamedTuple):
    """Which task, how rows resemble their neighbours, and whether errors do so as well."""

    task: str
    phi: float


class Rows(NamedTuple):
    """Inputs, what really was, and what the model answers."""

    numbers: np.ndarray
    labels: np.ndarray
    actual: np.ndarray
    answer: np.ndarray


WORLDS = {
    "classes, independent": World("classification", 0.0),
    "classes, AR(1) 0.8": World("classification", 0.8),
    "classes, AR(1) 0.95": World("classification", 0.95),
    "numbers, independent": World("regression", 0.0),
    "numbers, AR(1) 0.8": World("regression", 0.8),
    "numbers, AR(1) 0.95": World("regression", 0.95),
}


def draw(world: World, rows: int, rng: np.random.Generator) -> Rows:
    """Return rows of the time in which the model learned; of numbers the errors resemble, too."""
    numbers = _series(world.phi, (rows, len(NUMBERS)), rng)
    labels = rng.choice(len(LABELS), p=SHARES, size=rows)
    signal = numbers @ _WEIGHTS + 0.3 * labels
    if world.task == "regression":
        return Rows(numbers, labels, signal + _series(world.phi, (rows, 1), rng)[:, 0], signal)
    answer = 1 / (1 + np.exp(-signal))
    return Rows(numbers, labels, (rng.random(rows) < answer).astype(float), answer)


def worse(world: World, rows: Rows, where: np.ndarray, rng: np.random.Generator) -> Rows:
    """Return ``rows`` whose truth has come loose from their inputs where ``where`` says."""
    actual = rows.actual.copy()
    if world.task == "regression":
        actual[where] = rows.answer[where] + 2 * (actual - rows.answer)[where]
    else:
        other = rng.random(len(actual)) < 0.35
        actual[where & other] = 1 - actual[where & other]
    return rows._replace(actual=actual)


def schema(world: World) -> InputSchema:
    """Return the input schema of the model."""
    columns = [Column(name=name, kind="number") for name in NUMBERS]
    columns.append(Column(name="origin", kind="category", categories=LABELS))
    classes = CLASSES if world.task == "classification" else ()
    task: Task = "classification" if world.task == "classification" else "regression"
    return InputSchema(columns=tuple(columns), target="y", task=task, classes=classes)


def judged(world: World, rows: Rows) -> tuple[str, Judged]:
    """Return the metric and the rows as mlkit judges them."""
    table = pa.table(
        {
            **{name: rows.numbers[:, place] for place, name in enumerate(NUMBERS)},
            "origin": pa.array(np.array(LABELS)[rows.labels]),
        }
    )
    if world.task == "regression":
        answers, actuals = Predictions(rows.answer.tolist(), None), rows.actual.tolist()
        metric = "mae"
    else:
        said: list[Label] = [CLASSES[int(value > 0.5)] for value in rows.answer]
        answers = Predictions(said, np.column_stack([1 - rows.answer, rows.answer]))
        actuals = [CLASSES[int(value)] for value in rows.actual]
        metric = "log_loss"
    losses = metrics.losses(metric, answers, actuals, CLASSES)
    return metric, Judged(
        table=table, answers=answers, actuals=actuals, losses=losses, ordered=True
    )


def sheet(world: World, rows: Rows) -> slices.Sheet:
    """Return what is stored with a version."""
    metric, made = judged(world, rows)
    return slices.of_holdout(schema(world), metric, made)


def wrong(world: World, rows: Rows) -> np.ndarray:
    """Return for each row whether the model was wrong, for detectors that know nothing else.

    Of numbers: by more than a standard deviation of the noise.
    """
    if world.task == "regression":
        return np.abs(rows.actual - rows.answer) > 1
    return (rows.answer > 0.5) != (rows.actual > 0.5)


def _series(phi: float, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    noise = rng.normal(size=(shape[0] + 300, shape[1]))
    return np.asarray(lfilter([np.sqrt(1 - phi**2)], [1, -phi], noise, axis=0))[300:]
