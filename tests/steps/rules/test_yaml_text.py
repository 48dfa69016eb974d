"""What YAML cannot mean is an error with a name, whatever the parser does."""

import pytest

from mlkit.errors import InvalidInputError
from mlkit.steps.rules import rule_file, yaml_text

LONG = "9" * 400


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: " + "9" * 5000, "has a value that cannot be read: Exceeds the limit"),
        ("a: 0x" + "f" * 5000, "has a value that cannot be read: Exceeds the limit"),
        ("a: 1" + ":1" * 5000, "has a value that cannot be read: Exceeds the limit"),
        ("[" * 3000, "nested too deeply"),
        ("a: " * 1 + "{a: " * 1500 + "1" + "}" * 1500, "nested too deeply"),
        ("a: 2024-13-45", "month must be in 1..12"),
        ("a: !!timestamp x", "a time that is none"),
        ("a: !!int x", "cannot be read"),
        ("a: !!bool x", "'x', which is neither true nor false"),
        ("a: [", "not valid YAML: line 1"),
        ("a: \x01", "not valid YAML"),
    ],
)
def test_an_error_names_the_file_and_the_reason(text: str, words: str) -> None:
    with pytest.raises(InvalidInputError, match=f"f.yaml .*{words}"):
        yaml_text.load(text, "f.yaml")


@pytest.mark.parametrize(
    "rule",
    [
        f"in_range: {{min_value: 0, max_value: {LONG}}}", f"isin: [1, {LONG}]",
        f"max_drift: {LONG}", f"max_missing: {LONG}", f"str_length: {{max_value: {LONG}}}",
        f"less_than: {LONG}",
    ],
)  # fmt: skip
def test_a_number_beyond_every_value_is_no_argument(rule: str) -> None:
    with pytest.raises(InvalidInputError, match="column 'a'"):
        rule_file.from_yaml(f"columns:\n  a:\n    dtype: float64\n    {rule}\n", "rules")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("columns:\n  a: {}\n  b: {}\n  a: {}\n", "line 4: 'a' is there twice"),
        ("columns:\n  a: {dtype: text, dtype: integer}\n", "line 2: 'dtype' is there twice"),
        ('columns: {}\n"columns": {}\n', "line 2: 'columns' is there twice"),
    ],
)
def test_a_name_that_stands_twice_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        yaml_text.refuse_twins(text, "f.yaml")


def test_what_a_merge_brings_may_be_said_again() -> None:
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: {1: 2, '1': 3}\n"
    yaml_text.refuse_twins(text, "f.yaml")
    assert yaml_text.load(text, "f.yaml")["b"] == {"x": 3, "y": 2}
