"""The bytes of a predictor: an artifact, and the rows that show whether it still answers alike."""

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
_WAYS: Final[Mapping[str, Way]] = {"linear": "compiled"}  # what artifacts of version 0.1 say


def dumps(predictor: Predictor, code: OwnCode | None = None) -> bytes:
    """Return the bytes of an artifact: plain values and the estimator, no class of this module.

    The estimator's own ``code`` is in it as text, and the estimator then as bytes of its own,
    because they are of no use before that code runs.
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
    """Return the predictor of an artifact whose origin was checked: loading runs its code.

    ``root`` is the folder that the files of its code are named from.
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
    """Return an artifact, whose origin was checked, with another schema: all else is the same."""
    found = joblib.load(io.BytesIO(content))
    return _pickled({**found, "schema": msgspec.json.encode(schema)})


def golden_rows(predictor: Predictor, columns: Sequence[Sequence[object]]) -> dict[str, Any]:
    """Return rows and their answers as JSON values, to be checked at every later load."""
    answers = predictor.predict(encode.matrix(predictor.schema, columns))
    probabilities = None if answers.probabilities is None else answers.probabilities.tolist()
    return {
        "columns": [list(values) for values in columns],
        "values": answers.values,
        "probabilities": probabilities,
    }


def reproduces(predictor: Predictor, golden: Mapping[str, Any]) -> bool:
    """Tell whether ``predictor`` still gives the answers of ``golden_rows``, if any are left."""
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
