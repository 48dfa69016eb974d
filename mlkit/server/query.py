"""Requests and answers in the one form that lies between the wire protocols and the models."""

from typing import Any, NamedTuple

import numpy as np

from mlkit.server.wire import Environ
from mlkit.steps.inputs.answers import Label
from mlkit.steps.inputs.rows import Rows


class Message(NamedTuple):
    """A request's body, its media type (lower case, no parameters) and its headers (PEP 3333).

    ``probabilities`` tells whether the requested model has class probabilities.
    """

    body: bytes
    kind: str
    headers: Environ
    max_rows: int = 10_000
    probabilities: bool = True


class Query(NamedTuple):
    """The rows to predict; as the estimator's matrix where that loses nothing of the request."""

    rows: Rows | np.ndarray
    entity_ids: list[str | int | None] | None = None
    request_id: str | None = None
    options: Any = None  # what the protocol needs again when it encodes the answer
    owner: str = ""  # the id of the token that chose the request id
    digest: str = ""  # of the request that the id stands for: see ``fingerprint``


class Answers(NamedTuple):
    """The answers to a query, new or, for a repeated request, those of the first time.

    ``labels`` are the class names as JSON keys in the order of the probabilities, ``classes`` the
    classes as values; both are empty for a regression.
    """

    request_id: str
    model: str
    version: int
    role: str
    ids: list[str]
    values: list[Label]
    probabilities: list[list[float]] | None
    labels: tuple[str, ...]
    classes: tuple[Label, ...]
