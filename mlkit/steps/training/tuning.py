"""Hyperparameter search: a small grid for the ladder, or optuna for ``--tune N``."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import numpy as np

from mlkit.errors import InvalidInputError
from mlkit.progress import Progress
from mlkit.steps.inputs.columns import Task

Score = Callable[[Mapping[str, Any]], float]
Draw = Callable[[Any, Task], dict[str, Any]]


class Tuned(NamedTuple):
    """The best parameters, their loss, and the number of trials."""

    params: dict[str, Any]
    loss: float
    trials: int


def grid(task: Task) -> list[dict[str, Any]]:
    """Return the regularisations that the tuned linear rung tries, strongest first."""
    if task == "classification":
        return [{"C": float(c)} for c in np.logspace(-3, 1, 5)]
    return [{"alpha": float(a)} for a in np.logspace(4, -1, 6)]


def search_grid(task: Task, score: Score) -> Tuned:
    """Return the best of ``grid``."""
    losses = [(_ranked(score(params)), place) for place, params in enumerate(grid(task))]
    loss, place = min(losses)
    return Tuned(grid(task)[place], loss, len(losses))


def search(
    name: str,
    task: Task,
    score: Score,
    *,
    trials: int,
    seed: int,
    progress: Progress | None = None,
) -> Tuned:
    """Return the best of ``trials`` parameter sets that optuna's seeded TPE sampler draws.

    Raises InvalidInputError if optuna is missing or ``name`` has nothing to tune.
    """
    if name not in SPACES:
        raise InvalidInputError(
            f"the estimator '{name}' has nothing to tune; tunable: {', '.join(SPACES)}"
        )
    with _quiet_optuna() as optuna:
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))

        def objective(trial: Any) -> float:
            loss = _ranked(score(SPACES[name](trial, task)))
            if progress:
                progress(f"tuning {name}: trial {trial.number + 1} of {trials}")
            return loss

        study.optimize(objective, n_trials=trials)
        return Tuned(dict(study.best_params), float(study.best_value), len(study.trials))


def _ranked(loss: float) -> float:
    """Return the loss for comparisons: infinite if it is not finite."""
    return loss if np.isfinite(loss) else float("inf")


def _linear(trial: Any, task: Task) -> dict[str, Any]:
    if task == "classification":
        return {"C": trial.suggest_float("C", 1e-4, 1e2, log=True)}
    return {"alpha": trial.suggest_float("alpha", 1e-3, 1e5, log=True)}


def _boosting(trial: Any, task: Task) -> dict[str, Any]:  # noqa: ARG001  # one signature for all
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.3, log=True),
        "max_leaf_nodes": trial.suggest_int("max_leaf_nodes", 4, 63, log=True),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 5, 100, log=True),
        "l2_regularization": trial.suggest_float("l2_regularization", 1e-3, 10.0, log=True),
        "max_iter": trial.suggest_int("max_iter", 50, 300),
    }


def _forest(trial: Any, task: Task) -> dict[str, Any]:  # noqa: ARG001  # one signature for all
    return {
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 1, 30, log=True),
        "max_features": trial.suggest_float("max_features", 0.1, 1.0),
    }


SPACES: Final[Mapping[str, Draw]] = {
    "linear": _linear,
    "logistic": _linear,
    "ridge": _linear,
    "boosting": _boosting,
    "forest": _forest,
}


@contextmanager
def _quiet_optuna() -> Iterator[Any]:
    try:
        import optuna  # 0.7 s, and only in the extra
    except ImportError as error:
        raise InvalidInputError(
            "tuning needs optuna, which is not installed: pip install 'mlkit[tune]'"
        ) from error
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield optuna
    finally:
        optuna.logging.set_verbosity(before)
