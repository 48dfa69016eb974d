"""Serialise predictors as artifacts; golden rows check that a loaded one predicts the same."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import joblib
import msgspec
import numpy as np

from mlkit.steps.inputs import encode
from mlkit.steps.inputs.answers import Predictions, agree
from mlkit.steps.inputs.columns import InputSchema
from mlkit.steps.predictors import own_modules
from mlkit.steps.predictors.own_modules import OwnCode
from mlkit.steps.predictors.predictor import Predictor, Way, limit_threads

FORMAT: Final = 1
_WAYS: Final[Mapping[str, Way]] = {"linear": "compiled"}  # the names in artifacts of version 0.1


def dumps(predictor: Predictor, code: OwnCode | None = None) -> bytes:
    """Serialise an artifact: plain values and the estimator, no class of this module.

    With own ``code``, the code is stored as text and the estimator as nested bytes, because they
    cannot be unpickled before that code runs.
    """
    content = {
        "format": FORMAT,
        "schema": msgspec.json.encode(predictor.schema),
        "estimator": predictor.estimator if code is None else _pickled(predictor.estimator),
        "way": predictor.way,
        "own_labels": predictor.own_labels,
        "estimator_from": predictor.estimator_from,
    }
    if code is not None:
        content["code"] = msgspec.msgpack.encode(code)
    return _pickled(content)


def loads(content: bytes, root: Path = Path()) -> Predictor:
    """Load the predictor of an artifact whose signature was checked: loading runs its code.

    ``root`` is the folder that the paths of its code are relative to.
    """
    found = joblib.load(io.BytesIO(content))
    estimator = found["estimator"]
    if "code" in found:
        code = msgspec.msgpack.decode(found["code"], type=OwnCode)
        with own_modules.lock(code):
            own_modules.OwnModules(code, root).start()
            estimator = joblib.load(io.BytesIO(estimator))
    limit_threads(estimator)
    return Predictor(
        msgspec.json.decode(found["schema"], type=InputSchema),
        estimator,
        way=_WAYS.get(found["way"], found["way"]),
        own_labels=found["own_labels"],
        estimator_from=found.get("estimator_from"),
    ).without_estimator()


def with_schema(content: bytes, schema: InputSchema) -> bytes:
    """Return an artifact, whose signature was checked, with another schema."""
    found = joblib.load(io.BytesIO(content))
    return _pickled({**found, "schema": msgspec.json.encode(schema)})


def golden_rows(predictor: Predictor, columns: Sequence[Sequence[object]]) -> dict[str, Any]:
    """Return rows and their predictions as JSON values, to be checked at every load."""
    answers = predictor.predict(encode.matrix(predictor.schema, columns))
    probabilities = None if answers.probabilities is None else answers.probabilities.tolist()
    return {
        "columns": [list(values) for values in columns],
        "values": answers.values,
        "probabilities": probabilities,
    }


def reproduces(predictor: Predictor, golden: Mapping[str, Any]) -> bool:
    """Tell whether ``predictor`` reproduces the predictions of ``golden_rows``, if any."""
    probabilities = golden["probabilities"]
    if not golden["values"]:
        return True
    recorded = Predictions(
        golden["values"],
        None if probabilities is None else np.array(probabilities, dtype=float),
    )
    return agree(predictor.predict(encode.matrix(predictor.schema, golden["columns"])), recorded)


def _pickled(value: object) -> bytes:
    stream = io.BytesIO()
    joblib.dump(value, stream)
    return stream.getvalue()
