"""A test request to a version before its first real one: the serving path from JSON to JSON.

Correct predictions of the artifact do not prove that the server works: names, texts and times also
pass a decoder.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from mlkit.errors import InvalidInputError
from mlkit.steps.inputs import row_messages
from mlkit.steps.inputs.answers import Predictions, agree
from mlkit.steps.inputs.rows import Reader
from mlkit.steps.predictors.predictor import Predictor

_sent = msgspec.json.Decoder(row_messages.Answer)


def trouble(predictor: Predictor, golden: Mapping[str, Any], *, max_chars: int) -> str:
    """Return why a request with the golden rows would not reproduce their predictions, else ""."""
    schema = predictor.schema
    try:
        reader = Reader(schema, max_chars=max_chars)
        given = [
            dict(zip(schema.names, row, strict=True))
            for row in zip(*golden["columns"], strict=True)
        ]
        found = row_messages.read(reader, msgspec.json.encode({"rows": given}))
        answers = predictor.predict(reader.matrix(found))
        return "" if agree(_answered(answers, schema.labels), answers) else "the answers differ"
    except (InvalidInputError, msgspec.MsgspecError, UnicodeError, ValueError, TypeError) as error:
        return str(error)


def _answered(answers: Predictions, labels: tuple[str, ...]) -> Predictions:
    """Return predictions as decoded by a client."""
    numbers = None if answers.probabilities is None else answers.probabilities.tolist()
    rows = row_messages.rows(list(map(str, answers.values)), answers.values, numbers, labels)
    body = msgspec.json.encode(row_messages.Answer("rehearsal", "rehearsal", 1, "champion", rows))
    read = _sent.decode(body).predictions
    values = [row.value for row in read]
    if numbers is None:
        return Predictions(values, None)
    shares = [[(row.probabilities or {}).get(label) for label in labels] for row in read]
    return Predictions(values, np.array(shares, dtype=float))
