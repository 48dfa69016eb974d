"""A pattern means what Python means by it, and never takes more than the text's share of time."""

import re
import sys
import time
import unicodedata
import warnings

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlkit.errors import InvalidInputError
from mlkit.steps.inputs.columns import Column, InputSchema
from mlkit.steps.rules import masks, patterns, rule_file, text_rules
from mlkit.steps.rules.guard import Guard
from mlkit.steps.rules.schema import Rule
from mlkit.steps.tables import dtypes

PARTS = st.sampled_from(
    ["a", "B", "1", "-", "^", ".", "|", "(", ")", "[", "]", "[^", "[[:", ":]", "alpha", "{", "}",
     "{,3}", "{1,", "{2}", ",", "*", "+", "?", r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", r"\.",
     r"\]", r"\u00e9", "é", "--"]
)  # fmt: skip
TEXTS = st.text(alphabet="aBx1-]:{,} \n^é[٣_", max_size=5)
EXPONENTIAL = r"^(([a-z])+.)+[A-Z]([a-z])+$"
SCHEMA = InputSchema(columns=(Column(name="c", kind="category"),), target="y", task="regression")


def _as_python_reads(pattern: str, texts: list[str], *, at_start: bool) -> list[bool] | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sets that may mean more one day
        try:
            compiled = re.compile(pattern)
        except re.error:
            return None
    search = compiled.match if at_start else compiled.search
    return [search(text) is not None for text in texts]


@settings(max_examples=500, deadline=None)
@given(
    st.booleans(),
    st.lists(PARTS, max_size=6).map("".join),
    st.lists(TEXTS, min_size=1, max_size=6),
)
@example(True, "[A-Z]{,3}-", ["AB-"])  # hypothesis takes it by place
@example(False, "a[b[]", ["a[", "ab", "a"])
@example(False, r"[^\W\d_]", ["é", "1", "٣"])
@example(True, "^a|b", ["xb", "b"])
def test_a_pattern_means_what_python_means_by_it(
    at_start: bool,  # hypothesis gives it by place
    pattern: str,
    texts: list[str],
) -> None:
    expected = _as_python_reads(pattern, texts, at_start=at_start)
    try:
        found = patterns.found(pa.chunked_array([texts]), pattern, at_start=at_start)
    except pa.ArrowInvalid:  # what RE2 lacks: refused, never read in another way
        return
    assert expected is None or found.tolist() == expected


@pytest.mark.parametrize("written", [r"\d", r"\W", r"\w", r"\S", r"[\s]", r"[\D]", r"[^\W\d_]"])
def test_letters_digits_and_spaces_are_those_of_all_scripts(written: str) -> None:
    known = [chr(code) for code in range(sys.maxunicode) if unicodedata.category(chr(code)) != "Cn"]
    letters = [letter for letter in known if not "\ud800" <= letter <= "\udfff"]
    found = patterns.found(pa.chunked_array([letters]), written)
    compiled = re.compile(written)
    assert found.tolist() == [compiled.search(letter) is not None for letter in letters]


@pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1", "(?<!a)b", "a{1001}", "(", "a*+"])
def test_what_takes_more_than_linear_time_is_refused_with_its_place(pattern: str) -> None:
    text = f"columns: {{c: {{dtype: string, str_matches: '{pattern}'}}}}"
    with pytest.raises(InvalidInputError, match=r"column 'c'.*RE2 reads.*no look-around"):
        rule_file.from_yaml(text, "x.yaml")


def _seconds_for(pattern: str, text: str) -> dict[str, float]:
    """Return how long each place takes that judges a text by a rule."""
    rule = Rule("str_matches", {"pattern": pattern})
    soft = Rule("str_matches", {"pattern": pattern}, "error", {"ignore_na": True})
    yaml = f"columns: {{c: {{dtype: string, str_matches: '{pattern}'}}}}"
    guard = Guard(rule_file.from_yaml(yaml, "x.yaml"), SCHEMA)
    column = pa.chunked_array([[text]], dtypes.TEXT)
    took = {}
    for place, judge in {
        "table": lambda: text_rules.failing(column, rule),
        "request": lambda: guard.find([(text,)]),
        "table with an option": lambda: masks.failing(column, soft),
    }.items():
        started = time.perf_counter()
        assert judge() is not None
        took[place] = time.perf_counter() - started
    return took


def test_a_pattern_that_takes_python_hours_takes_no_time_anywhere() -> None:
    took = _seconds_for(EXPONENTIAL, "a" * 5_000)
    assert max(took.values()) < 2.0, took


def test_a_table_and_a_request_say_the_same_with_options_and_without() -> None:
    texts = ["AB", "ab", "Ä1", "", "A\n", "AB\n"]
    rule = Rule("str_matches", {"pattern": r"^[A-Z]\w$"})
    soft = Rule(rule.name, rule.arguments, "error", {"ignore_na": True})
    column = pa.chunked_array([texts], dtypes.TEXT)
    table = text_rules.failing(column, rule)
    yaml = r"columns: {c: {dtype: string, str_matches: '^[A-Z]\w$'}}"
    guard = Guard(rule_file.from_yaml(yaml, "x.yaml"), SCHEMA)
    judged = masks.failing(column, soft)
    assert judged is not None
    assert table is not None
    assert np.flatnonzero(table).tolist() == np.flatnonzero(judged).tolist() == [1, 2, 3, 4, 5]
    assert [failing.row for failing in guard.find([(text,) for text in texts])] == [1, 2, 3, 4, 5]
