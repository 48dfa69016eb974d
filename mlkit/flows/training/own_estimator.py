"""Load a user's own estimator, ``module:function``, from the code on disk."""

import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlkit.errors import InvalidInputError, Stopped
from mlkit.flows.registry import own_code
from mlkit.steps.predictors.own_modules import OwnModules
from mlkit.steps.training import estimators
from mlkit.steps.training.estimators import Recipe
from mlkit.steps.training.fitting import Make

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def load(root: Path, path: str) -> tuple[OwnModules | None, Callable[..., Any]]:
    """Return the function that ``path`` names, and the user's modules that it comes from.

    The code is read and run again each time. Raises InvalidInputError if there is no such function.
    """
    module, _, name = path.partition(":")
    own = None
    with own_code.importable(root):
        try:
            code = own_code.gather(root, module)
            if code is None:
                function = getattr(importlib.import_module(module), name)
            else:
                own = OwnModules(code, root, own_code.Finder(root))
                own.start()
                function = getattr(own.module(module), name)
        except Stopped:
            raise
        except (Exception, SystemExit) as error:
            # a user's module may do anything
            raise InvalidInputError(
                f"cannot import the estimator '{path}': {error!r} (looked in {root} first)"
            ) from error
    if not callable(function):
        raise InvalidInputError(f"'{path}' is not a function that returns an estimator")
    return own, function


def maker(path: str, function: Callable[..., Any], recipe: Recipe) -> Make:
    """Return the factory of the unfitted estimator.

    ``function()`` returns an estimator for plain numbers, which gets a step before it that imputes,
    standardises and one-hot encodes. ``function(schema)`` is given the input schema and returns an
    estimator for the encoded matrix itself, with its NaN and category codes.
    """
    if _takes_schema(function):
        return lambda: _estimator(path, function(recipe.schema))
    return lambda: estimators.expanded(recipe, _estimator(path, function()))


def _takes_schema(function: Callable[..., Any]) -> bool:
    """Tell whether a function takes the schema: it requires an argument, or has ``schema``."""
    if inspect.isclass(function):
        return False
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some built-in functions do not tell
        return False
    for parameter in parameters:
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            return True
        if parameter.kind in _POSITIONAL:
            return parameter.default is inspect.Parameter.empty or parameter.name == "schema"
    return False


def _estimator(path: str, made: Any) -> Any:
    kind = type(made)  # some hide `predict` until they are fitted; their class has it
    if inspect.isclass(made) or not (hasattr(kind, "fit") and hasattr(kind, "predict")):
        raise InvalidInputError(
            f"the estimator '{path}' is a {kind.__name__}, which has no fit and predict"
        )
    return made
