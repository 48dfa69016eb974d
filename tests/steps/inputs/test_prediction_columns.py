"""Answers as columns that can drift."""

import pytest

from mlkit.steps.inputs import prediction_columns
from mlkit.steps.inputs.answers import Label
from mlkit.steps.inputs.columns import Column, InputSchema


def schema(*classes: Label) -> InputSchema:
    task = "classification" if classes else "regression"
    columns = (Column(name="x", kind="number"),)
    return InputSchema(columns=columns, target="y", task=task, classes=classes)


def test_a_number_is_a_column() -> None:
    found = prediction_columns.table(schema(), [1.5, 2.0], None)
    assert found.to_pydict() == {"prediction(value)": [1.5, 2.0]}


@pytest.mark.parametrize(
    ("classes", "name"), [(("no", "yes"), "yes"), ((0, 1), "1"), ((False, True), "true")]
)
def test_of_two_classes_the_probability_of_the_second_is_a_column(
    classes: tuple[Label, Label], name: str
) -> None:
    probabilities = [[0.2, 0.8], None]
    found = prediction_columns.table(schema(*classes), classes[::-1], probabilities).to_pydict()
    assert found[f"probability({name})"] == [0.8, None]
    assert found["prediction(value)"][0] == name


def test_what_really_was_is_a_column_of_the_same_kind() -> None:
    assert prediction_columns.actuals(schema(), [1.0, 2.0]).to_pydict() == {
        "actual(value)": [1.0, 2.0]
    }
    assert prediction_columns.actuals(schema(0, 1), [1, 0]).to_pydict() == {
        "actual(value)": ["1", "0"]
    }


def test_many_classes_and_no_probabilities_are_labels() -> None:
    answers = ["a", "c"]
    assert prediction_columns.table(
        schema("a", "b", "c"), answers, [[1, 0, 0], [0, 0, 1]]
    ).column_names == ["prediction(value)"]
    assert prediction_columns.table(schema("a", "c"), answers, None).column_names == [
        "prediction(value)"
    ]


def test_the_names_that_inputs_may_not_have_are_those_of_the_columns() -> None:
    assert prediction_columns.names(schema("a", "c")) == {
        "prediction(value)", "actual(value)", "probability(c)",
    }  # fmt: skip
