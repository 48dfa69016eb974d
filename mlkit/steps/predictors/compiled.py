"""Compile fitted estimators to arrays: microseconds per row instead of milliseconds.

It uses private attributes of scikit-learn, so a compiled form is served only if ``predictor`` has
found it equal on the whole holdout.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import (
    ElasticNet,
    Lasso,
    LinearRegression,
    LogisticRegression,
    Ridge,
    RidgeCV,
)
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from mlkit.steps.predictors.boosted import Boosted
from mlkit.steps.predictors.forest import Forest
from mlkit.steps.predictors.linear import Linear
from mlkit.steps.predictors.transforms import (
    NoCompiledFormError,
    Transform,
    chain,
    compile_transformer,
)

__all__ = ["Compiled", "NoCompiledFormError", "compile_estimator"]


_CACHE_BYTES: Final = 1 << 22


class Model(Protocol):
    """The last step of an estimator."""

    size_bytes: int

    def answer(self, matrix: np.ndarray) -> np.ndarray:
        """Return values of shape (rows,), or probabilities of shape (rows, classes)."""


class Compiled:
    """Transformers and a model."""

    def __init__(self, name: str, transform: Transform, model: Model) -> None:
        self.name = name
        self._transform = transform
        self._model = model

    @property
    def large(self) -> bool:
        """Tell whether it exceeds a processor's cache, so that memory access dominates."""
        return self._model.size_bytes > _CACHE_BYTES

    def answer(self, matrix: np.ndarray) -> np.ndarray:
        """Return values of shape (rows,), or probabilities of shape (rows, known classes)."""
        return self._model.answer(self._transform(matrix))


def compile_estimator(fitted: Any) -> Compiled:
    """Return the compiled form of ``fitted``; raises NoCompiledFormError with the reason."""
    steps = [step for _, step in fitted.steps] if type(fitted) is Pipeline else [fitted]
    name, compiler = _MODELS.get(type(steps[-1]), ("", None))
    if compiler is None:
        raise NoCompiledFormError(f"{type(steps[-1]).__name__} has no compiled form")
    try:
        transform = chain([compile_transformer(step) for step in steps[:-1]])
        return Compiled(name, transform, compiler(steps[-1]))
    except (AttributeError, KeyError, TypeError, ValueError, ImportError) as error:
        # other attributes in this scikit-learn: the estimator itself serves
        raise NoCompiledFormError(
            f"{type(steps[-1]).__name__} of this scikit-learn cannot be compiled: {error!r}"
        ) from error


class Constant:
    """The same prediction for every row."""

    def __init__(self, answer: np.ndarray) -> None:
        self._answer = answer
        self.size_bytes = answer.nbytes

    def answer(self, matrix: np.ndarray) -> np.ndarray:
        """Return the constant for each row."""
        return np.repeat(self._answer, len(matrix), axis=0)


def _dummy(fitted: Any) -> Model:
    if isinstance(fitted, DummyRegressor):
        return Constant(np.ravel(fitted.constant_))
    if fitted.strategy != "prior" or fitted.n_outputs_ != 1:
        raise NoCompiledFormError(f"DummyClassifier with {fitted.strategy} has no compiled form")
    return Constant(np.asarray(fitted.class_prior_)[None, :])


def _forest(fitted: Any) -> Model:
    if fitted.n_outputs_ != 1:
        raise NoCompiledFormError("trees for several targets have no compiled form")
    trees = [tree.tree_ for tree in getattr(fitted, "estimators_", [fitted])]
    return Forest(trees, fitted.n_features_in_, probable=hasattr(fitted, "classes_"))


def _boosted(fitted: Any) -> Model:
    return Boosted(fitted, probable=hasattr(fitted, "classes_"))


_LINEAR = (ElasticNet, Lasso, LinearRegression, LogisticRegression, Ridge, RidgeCV)
_TREES = (
    DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreesClassifier, ExtraTreesRegressor,
    RandomForestClassifier, RandomForestRegressor,
)  # fmt: skip
_MODELS: dict[type, tuple[str, Callable[[Any], Model]]] = {
    **dict.fromkeys(_LINEAR, ("linear arrays", Linear)),
    **dict.fromkeys(_TREES, ("joined trees", _forest)),
    HistGradientBoostingClassifier: ("joined trees", _boosted),
    HistGradientBoostingRegressor: ("joined trees", _boosted),
    DummyClassifier: ("constant", _dummy),
    DummyRegressor: ("constant", _dummy),
}
