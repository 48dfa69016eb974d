"""From material to a candidate: choose the estimator, fit it, measure it."""

import importlib
import inspect
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mlkit.errors import InvalidInputError
from mlkit.flows.deploy import importable
from mlkit.flows.material import Material
from mlkit.project import Project
from mlkit.steps import estimators, fitting, ladder, metrics, predictor, split
from mlkit.steps.answers import Predictions
from mlkit.steps.estimators import Recipe
from mlkit.steps.ladder import Rung
from mlkit.steps.predictor import Predictor

_GOLDEN_ROWS = 20
_TIMED_ROWS = 15

Report = Callable[[str], None]


class Choice(NamedTuple):
    """The estimator to fit and why it was chosen."""

    name: str
    make: fitting.Make
    params: dict[str, Any]
    explanation: str
    rungs: list[Rung]


class Candidate(NamedTuple):
    """A fitted predictor and how it does on the holdout."""

    choice: Choice
    predictor: Predictor
    answers: Predictions
    metric: str
    losses: np.ndarray
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    golden: dict[str, Any]
    latency_ms: float


def choose(project: Project, material: Material, wish: str, tune: int, report: Report) -> Choice:
    """Return the estimator that ``wish`` names, the ladder's if it is ``auto``."""
    recipe = Recipe(material.schema, project.settings.train.seed)
    if ":" in wish:
        if tune:
            raise InvalidInputError(f"--tune knows no parameters of '{wish}'; tune it yourself")
        return Choice(wish, _load(project, wish, recipe), {}, f"{wish} was asked for", [])
    rows = material.training
    strata = rows.target if material.schema.task == "classification" else None
    folds = split.folds(len(rows.target), ordered=material.ordered, strata=strata, seed=recipe.seed)
    if wish != "auto":
        params: dict[str, Any] = {}
        if tune:
            params = ladder.tuned(wish, recipe, rows, folds, trials=tune, progress=report).params
        explanation = f"{wish} was asked for" + (f", tuned in {tune} trials" if tune else "")
        return Choice(wish, _make(wish, recipe, params), params, explanation, [])
    rungs = ladder.climb(recipe, rows, folds, tune=tune, progress=report)
    best = next(rung for rung in rungs if rung.chosen)
    if best.name == "dummy":
        material.warnings.append(
            "constant: no model of the ladder beats a constant, so this version answers every row "
            "alike; look for better columns, more rows or another --task"
        )
    make = _make(best.name, recipe, best.params)
    return Choice(best.name, make, best.params, ladder.explain(rungs), rungs)


def fit(project: Project, material: Material, choice: Choice) -> Candidate:
    """Return ``choice`` fitted on the training rows and measured once on the holdout."""
    complaints: list[str] = material.warnings
    estimator = fitting.fit(choice.name, choice.make, material.training, complaints)
    holdout = material.holdout
    made = predictor.build(material.schema, estimator, holdout.matrix)
    answers = made.predict(holdout.matrix)
    schema = material.schema
    metric = metrics.primary(answers, task=schema.task)
    found, intervals = metrics.evaluate(
        answers,
        holdout.actuals,
        schema.classes,
        task=schema.task,
        resampling=material.resampling(project),
    )
    return Candidate(
        choice=choice,
        predictor=made,
        answers=answers,
        metric=metric,
        losses=metrics.losses(metric, answers, holdout.actuals, schema.classes),
        metrics=found,
        intervals=intervals,
        golden=_golden(material, made),
        latency_ms=_latency_ms(made, holdout.matrix),
    )


def _make(name: str, recipe: Recipe, params: dict[str, Any]) -> fitting.Make:
    return lambda: estimators.build(name, recipe, params)


def _load(project: Project, path: str, recipe: Recipe) -> fitting.Make:
    """Return the maker of a user's estimator.

    ``function()`` returns an estimator for plain numbers: it is put behind the step that fills,
    standardises and one-hot encodes. ``function(schema)`` is given the input schema and returns
    one for the encoded matrix as it is, with its NaN and category codes.
    """
    module, _, name = path.partition(":")
    with importable(project.root):
        try:
            function = getattr(importlib.import_module(module), name)
        except Exception as error:
            # a user's module may raise anything
            raise InvalidInputError(
                f"cannot import the estimator '{path}': {error!r} (looked in {project.root} first)"
            ) from error
    if not callable(function):
        raise InvalidInputError(f"'{path}' is not a function that returns an estimator")
    if inspect.signature(function).parameters and not inspect.isclass(function):
        return lambda: _estimator(path, function(recipe.schema))
    return lambda: estimators.expanded(recipe, _estimator(path, function()))


def _estimator(path: str, made: Any) -> Any:
    if not (hasattr(made, "fit") and hasattr(made, "predict")):
        raise InvalidInputError(
            f"the estimator '{path}' is a {type(made).__name__}, which has no fit and predict"
        )
    return made


def _golden(material: Material, made: Predictor) -> dict[str, Any]:
    holdout = material.split.holdout
    count = min(_GOLDEN_ROWS, len(holdout))
    places = holdout[np.linspace(0, len(holdout) - 1, count).astype(int)].tolist()
    columns = [[values[place] for place in places] for values in material.columns]
    return predictor.golden_rows(made, columns)


def _latency_ms(made: Predictor, matrix: np.ndarray) -> float:
    """Return the median time of a one-row prediction."""
    times = []
    for index in range(_TIMED_ROWS):
        row = matrix[index % len(matrix)][None, :]
        start = time.perf_counter()
        made.predict(row)
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1000
