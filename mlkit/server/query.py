"""What every wire protocol asks for and gets: the one shape between protocols and models."""

from typing import Any, NamedTuple

import numpy as np

from mlkit.server.wire import Environ
from mlkit.steps.inputs.answers import Label
from mlkit.steps.inputs.rows import Rows


class Message(NamedTuple):
    """A request's body, its media type (lower case, no parameters) and its headers (PEP 3333).

    Beside it what is asked: a model whose answers have ``probabilities``, or one whose have not.
    """

    body: bytes
    kind: str
    headers: Environ
    max_rows: int = 10_000
    probabilities: bool = True


class Query(NamedTuple):
    """Rows to be answered; as the estimator's matrix where that says all that a client said."""

    rows: Rows | np.ndarray
    entity_ids: list[str | int | None] | None = None
    request_id: str | None = None
    options: Any = None  # what the protocol wants to know again when it encodes the answer
    owner: str = ""  # whose request id it is, and what it stands for: see ``identity``
    digest: str = ""


class Answers(NamedTuple):
    """What was answered, now or when the same request came the first time.

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
