"""A sealed answer is repeated as the value that it was."""

from typing import Any

import pytest

from mlkit.flows.log import repeated_requests
from mlkit.steps.inputs.columns import Column, InputSchema

COLUMNS = (Column(name="x", kind="number"),)


@pytest.mark.parametrize(
    ("classes", "sealed", "answer"),
    [
        (("no", "yes"), "yes", "yes"),
        ((0, 1), 1, 1),
        ((0, 1), "1", 1),  # a later version has labels of text
        (("0", "1"), "1", "1"),
        ((False, True), "true", True),
        ((False, True), True, True),
        ((0.5, 1.5), "0.5", 0.5),
        ((0, "0"), "0", "0"),
        ((), 3.5, 3.5),
        ((), "3.5", 3.5),
        ((), "1e+308", 1e308),
    ],
)
def test_an_answer_is_of_the_type_of_its_version(classes: Any, sealed: Any, answer: Any) -> None:
    schema = InputSchema(
        columns=COLUMNS,
        target="y",
        task="classification" if classes else "regression",
        classes=classes,
    )
    found = repeated_requests._value(schema, sealed)
    assert (found, type(found)) == (answer, type(answer))
