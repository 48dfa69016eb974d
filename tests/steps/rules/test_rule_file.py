from datetime import date
from pathlib import Path

import pandera.pandas as pandera
import pyarrow as pa
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.errors import InvalidInputError
from mlkit.steps.rules import checks, rule_file
from mlkit.steps.tables import dtypes

MIXED = pa.table(
    {
        "age": pa.array([20, 30, 40, None]),
        "plan": ["a", "b", "a", "b"],
        "spend": [1.5, 2.5, 3.5, 4.5],
        "open": [True, False, True, True],
        "day": pa.array([0, 1, 2, 3], pa.int64()).cast(dtypes.DATETIME),
    }
)


def test_the_yaml_form_means_what_the_schema_means() -> None:
    text = rule_file.to_yaml(checks.infer(MIXED))
    again = rule_file.from_yaml(text, "x.yaml")
    assert rule_file.to_yaml(again) == text
    assert checks.types(again) == dict(zip(MIXED.column_names, MIXED.schema.types, strict=True))


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("int", dtypes.INTEGER), ("int64", dtypes.INTEGER), ("Int64", dtypes.INTEGER),
        ("float32", dtypes.NUMBER), ("number", dtypes.NUMBER), ("bool", dtypes.BOOLEAN),
        ("str", dtypes.TEXT), ("string", dtypes.TEXT), ("object", dtypes.TEXT),
        ("datetime", dtypes.DATETIME), ("datetime64[ns]", dtypes.DATETIME),
        ("timestamp", dtypes.DATETIME),
    ],
)  # fmt: skip
def test_a_type_may_be_written_in_plain_words(word: str, kind: pa.DataType) -> None:
    schema = rule_file.from_yaml(f"columns: {{a: {{dtype: '{word}'}}}}", "x.yaml")
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
        (
            "columns: {a: {in_range: {min_value: 1}}}",
            r"column 'a', in_range: 'max_value' is missing",
        ),
        ("colums: {}\ncolumns: {a: {}}", r"'colums' is not a rule; did you mean 'columns'"),
    ],
)
def test_a_damaged_schema_is_refused_with_the_place(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        rule_file.from_yaml(text, "x.yaml")


def test_a_rule_that_a_user_writes_is_applied() -> None:
    text = """
    columns:
      code: {dtype: string, str_matches: '^[A-Z]{3}$', unique: true}
      share: {dtype: number, greater_than: 0, required: false}
    unique: [code]
    """
    schema = rule_file.from_yaml(text, "x.yaml")
    found = checks.check(pa.table({"code": ["ABC", "abc", "ABC"]}), schema)
    assert {(f.column, f.rule) for f in found.failures} >= {
        ("code", "str_matches('^[A-Z]{3}$')"),
        ("code", "field_uniqueness"),
    }


def test_the_first_lines_tell_the_user_what_may_be_written() -> None:
    text = rule_file.to_yaml(checks.infer(MIXED))
    assert text.startswith("# What every later version")
    assert "str_length" in text


def test_a_file_that_pandera_wrote_is_read(tmp_path: Path) -> None:
    file = tmp_path / "theirs.yaml"
    check = pandera.Check
    theirs = pandera.DataFrameSchema(
        {
            "a": pandera.Column("Int64", [check.in_range(1, 9, include_max=False)], unique=True),
            "b": pandera.Column("float64", [check.gt(3, raise_warning=True), check.le(8)]),
            "s": pandera.Column("string", [check.str_matches("^a"), check.str_length(1, 3)]),
            "o": pandera.Column(required=False, nullable=True),
        },
        checks=[check.ne(5)],
        unique=["a", "b"],
        strict=True,
    )
    for minimal in (True, False):
        theirs.to_yaml(file, minimal=minimal)
        schema = rule_file.from_yaml(file.read_text(), "theirs.yaml")
        assert schema.strict
        assert [rule.label for rule in schema.columns["a"].rules] == [
            "not_nullable", "field_uniqueness", "in_range(1, 9)", "not_equal_to(5)",
        ]  # fmt: skip
        assert [(r.label, r.level) for r in schema.columns["b"].rules[1:3]] == [
            ("greater_than(3)", "warn"), ("less_than_or_equal_to(8)", "error"),
        ]  # fmt: skip
        assert not schema.columns["o"].required
        assert [rule.label for rule in schema.rules] == ["multiple_fields_uniqueness"]


def test_pandera_reads_what_is_written() -> None:
    inferred = rule_file.to_yaml(checks.infer(MIXED))
    theirs = pandera.DataFrameSchema.from_yaml(inferred)
    assert list(theirs.columns) == MIXED.column_names
    assert theirs.columns["age"].nullable
    assert [check.name for check in theirs.columns["plan"].checks] == ["isin"]
    text = "columns: {a: {dtype: Int64, unique: true, in_range: {min_value: 1, max_value: 9}}}"
    schema = rule_file.from_yaml(f"{text}\nstrict: true\nunique: [a]", "x.yaml")
    theirs = pandera.DataFrameSchema.from_yaml(rule_file.to_yaml(schema))
    (check,) = theirs.columns["a"].checks
    assert (check.name, check.statistics["max_value"]) == ("in_range", 9)
    assert (theirs.strict, theirs.unique, theirs.columns["a"].unique) == (True, ["a"], True)


WHOLE = """
columns:
  id: {dtype: Int64, unique: true}
  line: {dtype: Int64, nullable: true, max_missing: 0.5}
  start: {dtype: datetime, monotone: increasing, fresh: 2d}
  end: {dtype: datetime, nullable: true}
  price: {dtype: number, max_drift: 0.3, greater_than: 0, warn: {less_than: 5}}
checks: ["end >= start", "price * line < 100"]
keys: [[id, line]]
rows: {min_value: 2, max_value: 4}
max_drift: 0.5
quarantine: 0.25
strict: true
warn: {rows: {max_value: 3}, checks: ["line != 0"]}
"""


def test_what_pandera_has_no_words_for_lives_beside_it_in_the_same_file() -> None:
    schema = rule_file.from_yaml(WHOLE, "x.yaml")
    again = rule_file.from_yaml(rule_file.to_yaml(schema), "x.yaml")
    assert again == schema
    assert schema.quarantine == 0.25
    assert {rule.label for rule in schema.rules if rule.level == "warn"} == {
        "rows(None, 3)", "line != 0",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("checks: ['ennd >= start']", "x.yaml: checks: 'ennd >= start': there is no column 'ennd'; "
                                      "did you mean 'end'"),
        ("checks: ['end >= plan']", r"a time \('end'\) cannot be compared with a text \('plan'\)"),
        ("checks: ['start.__import__(1)']", r"'start.__import__\(1\)' is not in the language"),
        ("checks: ['end.year > 2']", "'end.year' is not in the language of checks"),
        ("checks: ['end >=']", "is no comparison"),
        ("checks: ['end - start']", "is a number, not a comparison"),
        ("keys: [[plam]]", "keys: there is no column 'plam'; did you mean 'plan'"),
        ("unique: plam", "unique: there is no column 'plam'"),
        ("rows: 5", "'rows' is for example {min_value: 100}, not 5"),
        ("max_drift: no", "'max_drift' is an effect size above 0"),
        ("quarantine: 2", "'quarantine' is the largest share of rows"),
        ("warn: {fres: 1}", "x.yaml, warn: 'fres' is not a rule"),
        ("warn: [rows]", "'warn:' expects rules"),
    ],
)  # fmt: skip
def test_a_rule_about_the_whole_is_refused_with_file_and_key(extra: str, message: str) -> None:
    columns = "columns: {start: {dtype: datetime}, end: {dtype: datetime}, plan: {dtype: str}}\n"
    with pytest.raises(InvalidInputError, match=message):
        rule_file.from_yaml(columns + extra, "x.yaml")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("max_missing: 5", "column 'a': 'max_missing' is a share of the rows between 0 and 1"),
        ("monotone: up", "'monotone' is one of increasing, strictly_increasing"),
        ("fresh: 2d", "'fresh' needs a column of times"),
        ("str_matches: '('", "'\\(' is no regular expression"),
        ("in_range: {min_value: 3, max_value: 1}", "min_value 3 is above max_value 1"),
        ("in_range: {min_value: 3, max_value: x}", "3 and 'x' are of two types"),
        ("in_range: {min_value: 3, max_vale: 1, max_value: 4}", "'max_vale' is not its argument"),
        ("isin: 5", "a list is needed, not 5"),
        ("less_than: .nan", "nothing compares with NaN"),
        ("str_length: {}", "'min_value' or 'max_value' is missing"),
        ("nullable: maybe", "'nullable' is true or false, not 'maybe'"),
        ("warn: {dtype: Int64}", "column 'a', warn: 'dtype' is not a rule"),
    ],
)
def test_a_rule_of_a_column_is_refused_with_column_and_key(rule: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        rule_file.from_yaml(f"columns: {{a: {{dtype: Int64, {rule}}}}}", "x.yaml")


WHOLE_KEYS = ("checks", "unique", "keys", "rows", "max_drift", "quarantine", "warn", "strict")
COLUMN_KEYS = (
    "dtype", "nullable", "required", "unique", "in_range", "isin", "str_matches", "str_length",
    "equal_to", "max_missing", "monotone", "fresh", "max_drift", "checks", "warn",
)  # fmt: skip
KEYS = (*WHOLE_KEYS, *COLUMN_KEYS, "min_value", "max_value", "allowed_values", "options", "pattern")
LEAVES = st.sampled_from(
    [None, True, 0, 1, -1, 0.5, "a", "Int64", "string", "datetime", "2d", "a > 1", "[",
     "2026-01-01", "increasing", "in_range", date(2026, 1, 1)]
)  # fmt: skip
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["a", "b"]),
        st.dictionaries(st.sampled_from(COLUMN_KEYS), TREES, max_size=2),
        max_size=2,
    ),
    st.dictionaries(st.sampled_from(WHOLE_KEYS), TREES, max_size=2),
)
def test_any_yaml_is_a_schema_or_is_refused_and_a_schema_is_written_as_it_is_read(
    columns: dict[str, object], whole: dict[str, object]
) -> None:
    text = yaml.safe_dump({**whole, "columns": columns})
    try:
        schema = rule_file.from_yaml(text, "x.yaml")
    except InvalidInputError:
        return
    assert rule_file.from_yaml(rule_file.to_yaml(schema), "x.yaml") == schema
