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
