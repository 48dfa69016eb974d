"""The simplest sufficient model: climb from a constant to boosted trees, stop where it suffices."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mlkit.errors import InvalidInputError
from mlkit.progress import Progress
from mlkit.steps.performance import metrics
from mlkit.steps.training import estimators, fitting, tuning
from mlkit.steps.training.estimators import Recipe
from mlkit.steps.training.fitting import EncodedRows
from mlkit.steps.training.split import Split

_TUNING_ROWS = 10_000


class Rung(NamedTuple):
    """One model of the ladder and how it did on the folds; ``excess`` is over the best one."""

    name: str
    params: dict[str, Any]
    loss: float
    excess: float
    error: float
    chosen: bool


class _Candidate(NamedTuple):
    name: str
    params: dict[str, Any]
    losses: np.ndarray


def climb(
    recipe: Recipe,
    rows: EncodedRows,
    splits: Sequence[Split],
    *,
    tune: int = 0,
    progress: Progress | None = None,
) -> list[Rung]:
    """Return every rung, the chosen one marked: the first within one standard error of the best.

    The standard error is that of the paired difference of the rows' losses, so a model is passed
    over only if it is worse by more than chance explains (Breiman et al. 1984, section 3.4.3).
    """
    candidates = [
        _candidate(name, recipe, rows, splits, tune, progress) for name in estimators.LADDER
    ]
    if tune:
        found = tuned("boosting", recipe, rows, splits, trials=tune, progress=progress)
        candidates.append(_judged("tuned boosting", "boosting", found.params, recipe, rows, splits))
    return choose(candidates)


def choose(candidates: Sequence[_Candidate]) -> list[Rung]:
    """Return the candidates as rungs, simplest first, the simplest sufficient one chosen."""
    finite = [each for each in candidates if metrics.usable(each.losses).all()]
    if not finite:
        raise InvalidInputError("no model of the ladder has a finite loss on these rows")
    best = min(finite, key=lambda candidate: candidate.losses.mean())
    rungs: list[Rung] = []
    for name, params, losses in finite:
        difference = losses - best.losses
        excess = float(difference.mean())
        error = float(difference.std() / np.sqrt(len(difference)))
        chosen = excess <= error and not any(rung.chosen for rung in rungs)
        rungs.append(Rung(name, params, float(losses.mean()), excess, error, chosen))
    return rungs


def tuned(
    name: str,
    recipe: Recipe,
    rows: EncodedRows,
    splits: Sequence[Split],
    *,
    trials: int,
    progress: Progress | None = None,
) -> tuning.Tuned:
    """Return optuna's best parameters for the estimator ``name`` on the folds."""
    return tuning.search(
        name,
        recipe.schema.task,
        lambda params: float(_judged(name, name, params, recipe, rows, splits).losses.mean()),
        trials=trials,
        seed=recipe.seed,
        progress=progress,
    )


def explain(rungs: Sequence[Rung]) -> str:
    """Say in one sentence which rung was chosen and why."""
    chosen = next(rung for rung in rungs if rung.chosen)
    best = min(rungs, key=lambda rung: rung.loss)
    if chosen is best:
        return f"{chosen.name} is the best model of the ladder"
    return (
        f"{chosen.name} is the simplest sufficient model: within one standard error "
        f"({chosen.error:.2g}) of {best.name}"
    )


def _candidate(
    name: str,
    recipe: Recipe,
    rows: EncodedRows,
    splits: Sequence[Split],
    tune: int,
    progress: Progress | None,
) -> _Candidate:
    if progress:
        progress(f"trying {name}")
    if name != "tuned linear":
        return _judged(name, name, {}, recipe, rows, splits)
    if tune:
        found = tuned("linear", recipe, rows, splits, trials=tune, progress=progress)
    else:
        small = [_shortened(split) for split in splits]
        found = tuning.search_grid(
            recipe.schema.task,
            lambda params: float(_judged(name, name, params, recipe, rows, small).losses.mean()),
        )
    return _judged(name, name, found.params, recipe, rows, splits)


def _judged(
    name: str,
    family: str,
    params: Any,
    recipe: Recipe,
    rows: EncodedRows,
    splits: Sequence[Split],
) -> _Candidate:
    losses = fitting.fold_losses(
        name, lambda: estimators.build(family, recipe, params), recipe.schema, rows, splits
    )
    return _Candidate(name, dict(params), losses)


def _shortened(split: Split) -> Split:
    """Return the split with so few training rows, the newest, that a grid stays quick."""
    return Split(split.train[-_TUNING_ROWS:], split.holdout)
