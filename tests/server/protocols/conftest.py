"""What the tests of every protocol need: schemas, a message, answers."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from mlkit.server.query import Answers, Message
from mlkit.steps.inputs.columns import Column, InputSchema
from mlkit.steps.inputs.rows import Reader

MIXED = InputSchema(
    columns=(
        Column(name="since", kind="datetime", nullable=True),
        Column(name="age", kind="integer"),
        Column(name="plan", kind="category", nullable=True, categories=("free", "pro")),
        Column(name="spend", kind="number", nullable=True),
        Column(name="active", kind="boolean"),
    ),
    target="churned",
    task="classification",
    classes=("no", "yes"),
)
SINGLE = InputSchema(
    columns=(Column(name="x", kind="number", nullable=True),), target="y", task="regression"
)


@pytest.fixture(scope="session")
def mixed() -> Reader:
    """A reader for five columns, one of each kind."""
    return Reader(MIXED)


@pytest.fixture(scope="session")
def single() -> Reader:
    """A reader for the one column of a regression."""
    return Reader(SINGLE)


@pytest.fixture(scope="session")
def message() -> Callable[..., Message]:
    """Make a message; anything but bytes goes as JSON."""

    def make(body: Any, kind: str = "application/json", parameters: str = "") -> Message:
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return Message(raw, kind, {"CONTENT_TYPE": kind + parameters}, max_rows=3)

    return make


@pytest.fixture
def answers() -> Answers:
    """Two rows answered by a classifier."""
    return Answers(
        request_id="r",
        model="churn",
        version=3,
        role="champion",
        ids=["1", "2"],
        values=["no", "yes"],
        probabilities=[[0.75, 0.25], [0.5, 0.5]],
        labels=("no", "yes"),
        classes=("no", "yes"),
    )
