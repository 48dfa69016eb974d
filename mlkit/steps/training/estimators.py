"""The estimators that ``--estimator`` names, unfitted; their input is the encoded matrix."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline

from mlkit.errors import InvalidInputError
from mlkit.steps.inputs import encode
from mlkit.steps.inputs.columns import InputSchema, Task
from mlkit.steps.inputs.expand import Expand

LADDER: Final = ("dummy", "linear", "tuned linear", "boosting")
NAMES: Final = ("auto", "dummy", "linear", "logistic", "ridge", "boosting", "forest")
_ONLY: Final[Mapping[str, Task]] = {"logistic": "classification", "ridge": "regression"}
_MAX_ITERATIONS: Final = 1_000


class Recipe(NamedTuple):
    """The schema and the seed that an estimator is built for."""

    schema: InputSchema
    seed: int


def check(name: str, task: Task) -> None:
    """Raise InvalidInputError if there is no such estimator, or none for ``task``."""
    if ":" in name or name == "auto":
        return
    if name not in NAMES:
        raise InvalidInputError(
            f"no estimator named '{name}'; known: {', '.join(NAMES)}, or module:function"
        )
    if _ONLY.get(name, task) != task:
        raise InvalidInputError(
            f"the estimator '{name}' is for {_ONLY[name]}, and this is a {task}; use 'linear'"
        )


def build(name: str, recipe: Recipe, params: Mapping[str, Any] | None = None) -> Any:
    """Return the unfitted estimator with this name and these parameters instead of its defaults."""
    family = "linear" if name in ("logistic", "ridge", "tuned linear") else name
    return _BUILDERS[family](recipe, dict(params or {}))


def expanded(recipe: Recipe, model: Any) -> Pipeline:
    """Return a pipeline that imputes, standardises and one-hot encodes before ``model``."""
    expand = Expand(categorical=tuple(encode.categorical(recipe.schema)))
    return Pipeline([("expand", expand), ("model", model)])


def _dummy(recipe: Recipe, params: dict[str, Any]) -> Any:
    """Return the best constant: the class shares (for log loss), or the median (for MAE)."""
    if recipe.schema.task == "classification":
        return DummyClassifier(strategy="prior", **params)
    return DummyRegressor(strategy="median", **params)


def _linear(recipe: Recipe, params: dict[str, Any]) -> Any:
    if recipe.schema.task == "classification":
        return expanded(recipe, LogisticRegression(max_iter=_MAX_ITERATIONS, **params))
    return expanded(recipe, Ridge(**params))


def _boosting(recipe: Recipe, params: dict[str, Any]) -> Any:
    kinds = {
        "classification": HistGradientBoostingClassifier,
        "regression": HistGradientBoostingRegressor,
    }
    coded = encode.categorical(recipe.schema)
    return kinds[recipe.schema.task](
        categorical_features=coded or None, random_state=recipe.seed, **params
    )


def _forest(recipe: Recipe, params: dict[str, Any]) -> Any:
    kinds = {"classification": RandomForestClassifier, "regression": RandomForestRegressor}
    settings = {"n_estimators": 200, "min_samples_leaf": 3, "max_features": 0.5, **params}
    return kinds[recipe.schema.task](random_state=recipe.seed, n_jobs=1, **settings)


_BUILDERS: Final[Mapping[str, Callable[[Recipe, dict[str, Any]], Any]]] = {
    "dummy": _dummy,
    "linear": _linear,
    "boosting": _boosting,
    "forest": _forest,
}
