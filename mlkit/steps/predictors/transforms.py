"""Fitted scikit-learn transformers as plain functions of a matrix, without input checks.

Each one repeats the operations of scikit-learn's ``transform`` elementwise, so the result is bit
for bit the same and independent of other rows. Other transformers are refused by name.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    RobustScaler,
    StandardScaler,
)

from mlkit.steps.inputs.expand import Expand

Transform = Callable[[np.ndarray], np.ndarray]


class NoCompiledFormError(Exception):
    """The reason why an estimator is not compiled, a sentence."""


def compile_transformer(fitted: Any) -> Transform:
    """Return the function of a fitted transformer; raises NoCompiledFormError."""
    if fitted in (None, "passthrough"):
        return _identity
    compiler = _COMPILERS.get(type(fitted))
    if compiler is None:
        raise NoCompiledFormError(f"{type(fitted).__name__} has no compiled form")
    return compiler(fitted)


def chain(steps: list[Transform]) -> Transform:
    """Return the composition of ``steps``."""
    steps = [step for step in steps if step is not _identity]
    if not steps:
        return _identity
    if len(steps) == 1:
        return steps[0]

    def transform(matrix: np.ndarray) -> np.ndarray:
        for step in steps:
            matrix = step(matrix)
        return matrix

    return transform


def _identity(matrix: np.ndarray) -> np.ndarray:
    return matrix


def _pipeline(fitted: Pipeline) -> Transform:
    return chain([compile_transformer(step) for _, step in fitted.steps])


def _expand(fitted: Expand) -> Transform:
    """Return ``Expand.transform`` without the work that a single row of plain numbers can skip."""
    width, numeric = fitted.n_features_in_, fitted.numeric_
    fill, center, weight, flagged = fitted.fill_, fitted.center_, fitted.weight_, fitted.flagged_
    plain = len(numeric) == width

    def transform(matrix: np.ndarray) -> np.ndarray:
        values = matrix if plain else matrix[:, numeric]
        missing = np.isnan(values)
        if missing.any():
            values = np.where(missing, fill, values)
        with np.errstate(over="ignore"):
            parts = [(values - center) * weight]
        if len(flagged):
            parts.append(missing[:, flagged])
        parts += [matrix[:, [place]] == codes for place, codes in fitted.codes_]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1, dtype=float)

    return transform


def _function(fitted: FunctionTransformer) -> Transform:
    if fitted.func is not None:
        raise NoCompiledFormError("FunctionTransformer with a function has no compiled form")
    return _identity


def _standard(fitted: StandardScaler) -> Transform:
    return _shift_and_divide(
        fitted.mean_ if fitted.with_mean else None, fitted.scale_ if fitted.with_std else None
    )


def _robust(fitted: RobustScaler) -> Transform:
    return _shift_and_divide(
        fitted.center_ if fitted.with_centering else None,
        fitted.scale_ if fitted.with_scaling else None,
    )


def _max_abs(fitted: MaxAbsScaler) -> Transform:
    return _shift_and_divide(None, fitted.scale_)


def _shift_and_divide(center: np.ndarray | None, scale: np.ndarray | None) -> Transform:
    def transform(matrix: np.ndarray) -> np.ndarray:
        if center is not None:
            matrix = matrix - center
        return matrix if scale is None else matrix / scale

    return transform


def _min_max(fitted: MinMaxScaler) -> Transform:
    scale, least, clip = fitted.scale_, fitted.min_, fitted.feature_range if fitted.clip else None

    def transform(matrix: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = matrix * scale + least
        return scaled if clip is None else scaled.clip(*clip)

    return transform


def _imputer(fitted: SimpleImputer) -> Transform:
    if not (isinstance(fitted.missing_values, float) and np.isnan(fitted.missing_values)):
        raise NoCompiledFormError("SimpleImputer for other values than NaN has no compiled form")
    fill = np.asarray(fitted.statistics_, dtype=float)
    kept = np.arange(len(fill)) if fitted.keep_empty_features else np.flatnonzero(~np.isnan(fill))
    flagged = fitted.indicator_.features_ if fitted.add_indicator else None

    def transform(matrix: np.ndarray) -> np.ndarray:
        missing = np.isnan(matrix)
        filled = np.where(missing, fill, matrix)[:, kept]
        return filled if flagged is None else np.hstack([filled, missing[:, flagged]])

    return transform


def _one_hot(fitted: OneHotEncoder) -> Transform:
    if fitted.handle_unknown == "error" or getattr(fitted, "_infrequent_enabled", False):
        raise NoCompiledFormError(
            "OneHotEncoder has a compiled form only with handle_unknown='ignore' and without "
            "infrequent categories"
        )
    categories = [np.asarray(values, dtype=float) for values in fitted.categories_]
    dropped = fitted.drop_idx_ if fitted.drop_idx_ is not None else [None] * len(categories)
    kept = [
        np.delete(values, index) if index is not None else values
        for values, index in zip(categories, dropped, strict=True)
    ]

    def transform(matrix: np.ndarray) -> np.ndarray:
        hits = [_equal(matrix[:, [place]], values) for place, values in enumerate(kept)]
        return np.hstack(hits).astype(float)

    return transform


def _equal(column: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Compare a column with each of ``values``; NaN equals NaN."""
    same: np.ndarray = column == values
    if len(values) and np.isnan(values[-1]):  # scikit-learn puts NaN last
        same[:, -1] = np.isnan(column[:, 0])
    return same


def _columns(fitted: ColumnTransformer) -> Transform:
    parts = []
    for name, transformer, _ in fitted.transformers_:
        places = np.asarray(fitted._transformer_to_input_indices[name], dtype=int)  # noqa: SLF001  # behind the parity check
        if len(places) and transformer != "drop":
            parts.append((places, compile_transformer(transformer)))

    def transform(matrix: np.ndarray) -> np.ndarray:
        return np.hstack([step(matrix[:, places]) for places, step in parts])

    return transform


_COMPILERS: dict[type, Callable[[Any], Transform]] = {
    ColumnTransformer: _columns,
    Expand: _expand,
    FunctionTransformer: _function,
    MaxAbsScaler: _max_abs,
    MinMaxScaler: _min_max,
    OneHotEncoder: _one_hot,
    Pipeline: _pipeline,
    RobustScaler: _robust,
    SimpleImputer: _imputer,
    StandardScaler: _standard,
}
