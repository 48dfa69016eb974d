"""From training material to a candidate: choose the estimator, fit it, evaluate it."""

import time
from typing import Any, NamedTuple

import numpy as np

from mlkit.errors import InvalidInputError
from mlkit.flows.registry import own_code
from mlkit.flows.training import own_estimator
from mlkit.flows.training.material import Material
from mlkit.progress import Progress
from mlkit.project import Project
from mlkit.steps.inputs.answers import Predictions
from mlkit.steps.performance import metrics
from mlkit.steps.predictors import artifacts, predictor
from mlkit.steps.predictors.own_modules import OwnCode, OwnModules
from mlkit.steps.predictors.predictor import Predictor
from mlkit.steps.training import estimators, fitting, ladder, split
from mlkit.steps.training.estimators import Recipe
from mlkit.steps.training.ladder import Rung

_GOLDEN_ROWS = 20
_TIMED_ROWS = 15


class Choice(NamedTuple):
    """The estimator to fit and why it was chosen.

    ``own`` are the user's modules that it comes from, ``loaded`` those imported before.
    """

    name: str
    make: fitting.Make
    params: dict[str, Any]
    explanation: str
    rungs: list[Rung]
    own: OwnModules | None = None
    loaded: frozenset[str] = frozenset()

    @property
    def code(self) -> OwnCode | None:
        """The user's own code that the estimator uses, with the modules imported by the fit."""
        return None if self.own is None else self.own.code


class Candidate(NamedTuple):
    """A fitted predictor and its evaluation on the holdout."""

    choice: Choice
    predictor: Predictor
    answers: Predictions
    metric: str
    losses: np.ndarray
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    golden: dict[str, Any]
    latency_ms: float
    not_kept: tuple[str, ...]


def choose(project: Project, material: Material, wish: str, tune: int, report: Progress) -> Choice:
    """Return the estimator that ``wish`` names, or the ladder's choice for ``auto``."""
    recipe = Recipe(material.schema, project.settings.train.seed)
    if ":" in wish:
        if tune:
            raise InvalidInputError(f"--tune knows no parameters of '{wish}'; tune it yourself")
        loaded = frozenset(own_code.loaded(project.root))
        own, function = own_estimator.load(project.root, wish)
        make = own_estimator.maker(wish, function, recipe)
        return Choice(wish, make, {}, f"{wish} was asked for", [], own, loaded)
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
    """Return ``choice`` fitted on the training rows and evaluated once on the holdout."""
    estimator = fitting.fit(
        choice.name, choice.make, material.training, material.warnings, material.schema
    )
    not_kept = sorted(own_code.loaded(project.root) - choice.loaded) if choice.own else []
    material.warnings.extend(_not_kept(name) for name in not_kept)
    holdout = material.holdout
    try:
        made = predictor.build(material.schema, estimator, holdout.matrix)
        answers = made.predict(holdout.matrix)
    except InvalidInputError as error:
        raise InvalidInputError(f"'{choice.name}': {error}", error.details) from error
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
        not_kept=tuple(not_kept),
    )


def _not_kept(name: str) -> str:
    return (
        f"code_not_kept: the estimator imports the module '{name}' in a way that is not followed, "
        "so the version goes on with the file as it will be then; use an import statement"
    )


def _make(name: str, recipe: Recipe, params: dict[str, Any]) -> fitting.Make:
    return lambda: estimators.build(name, recipe, params)


def _golden(material: Material, made: Predictor) -> dict[str, Any]:
    holdout = material.split.holdout
    count = min(_GOLDEN_ROWS, len(holdout))
    places = holdout[np.linspace(0, len(holdout) - 1, count).astype(int)].tolist()
    columns = [[values[place] for place in places] for values in material.columns]
    return artifacts.golden_rows(made, columns)


def _latency_ms(made: Predictor, matrix: np.ndarray) -> float:
    """Return the median time of a one-row prediction."""
    times = []
    for index in range(_TIMED_ROWS):
        row = matrix[index % len(matrix)][None, :]
        start = time.perf_counter()
        made.predict(row)
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1000
