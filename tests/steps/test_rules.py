from pathlib import Path

import pandera.pandas as pandera
import pyarrow as pa
import pytest

from mlkit.errors import InvalidInputError
from mlkit.steps import casts, checks, rules

MIXED = pa.table(
    {
        "age": pa.array([20, 30, 40, None]),
        "plan": ["a", "b", "a", "b"],
        "spend": [1.5, 2.5, 3.5, 4.5],
        "open": [True, False, True, True],
        "day": pa.array([0, 1, 2, 3], pa.int64()).cast(casts.TIME),
    }
)


def test_the_yaml_form_means_what_the_schema_means() -> None:
    text = rules.to_yaml(checks.infer(MIXED))
    again = rules.from_yaml(text, "x.yaml")
    assert rules.to_yaml(again) == text
    assert checks.types(again) == dict(zip(MIXED.column_names, MIXED.schema.types, strict=True))


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("int", casts.INTEGER), ("int64", casts.INTEGER), ("Int64", casts.INTEGER),
        ("float32", casts.NUMBER), ("number", casts.NUMBER), ("bool", casts.BOOLEAN),
        ("str", casts.TEXT), ("string", casts.TEXT), ("object", casts.TEXT),
        ("datetime", casts.TIME), ("datetime64[ns]", casts.TIME), ("timestamp", casts.TIME),
    ],
)  # fmt: skip
def test_a_type_may_be_written_in_plain_words(word: str, kind: pa.DataType) -> None:
    schema = rules.from_yaml(f"columns: {{a: {{dtype: '{word}'}}}}", "x.yaml")
    assert checks.types(schema) == {"a": kind}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"x.yaml has no 'columns:'"),
        ("- 1", r"x.yaml has no 'columns:'"),
        ("columns: [a]", r"x.yaml has no 'columns:'"),
        ("columns: {a: {dtype: Int64", r"x.yaml is not valid YAML: line 1"),
        ("columns:\n\ta: 1", r"x.yaml is not valid YAML: line 2"),
        ("columns: {a: !!python/object:os.system {}}", r"x.yaml is not valid YAML"),
        ("columns: {a: Int64}", r"column 'a': expected rules"),
        ("columns: {a: {dtype: money}}", r"column 'a': dtype 'money' is unknown"),
        ("columns: {a: {nulable: true}}", r"'nulable' is not a rule; did you mean 'nullable'"),
        ("columns: {a: {in_rnge: {}}}", r"'in_rnge' is not a rule; did you mean 'in_range'"),
        ("columns: {a: {checks: {exec: 1}}}", r"'exec' is not a rule"),
        ("columns: {a: {in_range: {min_value: 1}}}", r"x.yaml: "),
        ("colums: {}\ncolumns: {a: {}}", r"'colums' is not a rule; did you mean 'columns'"),
    ],
)
def test_a_damaged_schema_is_refused_with_the_place(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        rules.from_yaml(text, "x.yaml")


def test_a_rule_that_a_user_writes_is_applied() -> None:
    text = """
    columns:
      code: {dtype: string, str_matches: '^[A-Z]{3}$', unique: true}
      share: {dtype: number, greater_than: 0, required: false}
    unique: [code]
    """
    schema = rules.from_yaml(text, "x.yaml")
    found = checks.check(pa.table({"code": ["ABC", "abc", "ABC"]}), schema)
    assert {(f.column, f.rule) for f in found.failures} >= {
        ("code", "str_matches('^[A-Z]{3}$')"),
        ("code", "field_uniqueness"),
    }


def test_the_first_lines_tell_the_user_what_may_be_written(tmp_path: Path) -> None:
    text = rules.to_yaml(pandera.DataFrameSchema({"a": pandera.Column("Int64")}))
    assert text.startswith("# What every later version")
    assert "str_length" in text
