import pytest

from mlkit.errors import InvalidInputError, NotFoundError
from mlkit.steps.rules import rule_edits, rule_file

BLOCK = """\
# mine
columns:
  plan:   # which
    dtype: string
    isin:
    - free   # of charge
    - pro

  size: {dtype: Int64, isin: [1, 2]}
  code: {dtype: string, isin: {allowed_values: []}}
  old:
    checks: {isin: {value: [a]}}
  soft:
    warn:
      isin: [x]
  age: {dtype: Int64}
"""


@pytest.mark.parametrize(
    ("column", "value", "old", "new"),
    [
        ("plan", "gold", "    - pro\n", "    - pro\n    - gold\n"),
        ("plan", "no: #1", "    - pro\n", "    - pro\n    - 'no: #1'\n"),
        ("plan", "true", "    - pro\n", "    - pro\n    - 'true'\n"),
        ("size", "3", "[1, 2]", "[1, 2, 3]"),
        ("code", "a, b", "values: []", "values: ['a, b']"),
        ("old", "b", "[a]", "[a, b]"),
        ("soft", "y", "[x]", "[x, y]"),
        ("plan", "pro", "pro", "pro"),
    ],
)
def test_a_value_is_added_and_every_other_line_stays(
    column: str, value: str, old: str, new: str
) -> None:
    edited = rule_edits.allow(BLOCK, column, value, "x.yaml")
    assert edited == BLOCK.replace(old, new, 1)
    listed = rule_file.from_yaml(edited, "x.yaml").columns[column].rules
    allowed = next(rule for rule in listed if rule.name == "isin").arguments["allowed_values"]
    assert str(allowed[-1]) == value


def test_what_cannot_be_added_is_said_with_the_place() -> None:
    with pytest.raises(NotFoundError, match="no column 'plam'; did you mean 'plan'"):
        rule_edits.allow(BLOCK, "plam", "x", "x.yaml")
    with pytest.raises(NotFoundError, match="column 'age' has no list of allowed values"):
        rule_edits.allow(BLOCK, "age", "3", "x.yaml")
    with pytest.raises(InvalidInputError, match="column 'size': 'x' is not an integer"):
        rule_edits.allow(BLOCK, "size", "x", "x.yaml")
