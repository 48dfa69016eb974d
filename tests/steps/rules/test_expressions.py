import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.errors import InvalidInputError
from mlkit.steps.rules import expressions
from mlkit.steps.tables import dtypes

TYPES = {
    "a": dtypes.NUMBER, "b": dtypes.NUMBER, "t": dtypes.TEXT, "when": dtypes.DATETIME,
    "yes": dtypes.BOOLEAN,
}  # fmt: skip
WORDS = [
    "a", "b", "t", "when", "yes", "abs", "1", "2.5", "0", "'x'", "'2026-01-01'", "True", "None",
    "+", "-", "*", "/", "%", "**", "//", "<", "<=", "==", "!=", "in", "not", "and", "or", "(", ")",
    ",", "[", "]", ".", "lambda", ":", "=", "`a`", "`", "1j", "b''", "f''", "is", "if", "else",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join), st.text(max_size=12)))
def test_any_text_is_a_rule_or_is_refused_by_name(text: str) -> None:
    try:
        expression = expressions.compile_text(text, TYPES)
    except InvalidInputError:
        return
    one = {"a": 3, "b": 0.0, "t": "x", "when": 7, "yes": True}
    many = {
        "a": np.array([3, 4]), "b": np.array([0.0, 1.0]), "t": np.array(["x", "y"], dtype=object),
        "when": np.array([7, 8]), "yes": np.array([True, False]),
    }  # fmt: skip
    with np.errstate(all="ignore"):
        assert np.asarray(expression.holds(many))[0] == expression.holds(one)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-" * 300 + "a > 0", "is nested too deeply"),
        ("a > " + "9" * 400, "999 is too large"),
        ("a > b" + " " * 1000, "is longer than 1,000 characters"),
        ("1 < 2", "speaks of no column"),
        ("a ** 9 > 1", "is no arithmetic of this language"),
        ("a in ()", "only ==, !=, <"),
        ("yes < True", "is true or false"),
        ("when > 'soon'", "'soon' is not a time"),
        ("open('x') == a", "'open' is a column|there is no column 'open'|not in the language"),
        ("a > 1 if yes else True", "is not in the language of checks"),
    ],
)
def test_what_is_not_in_the_language_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        expressions.compile_text(text, TYPES)


INTEGERS = st.sampled_from([-(2**63), 2**63 - 1, 2**53 + 1, -(2**53) - 1, 2**53, 0, 3])
DOUBLES = st.one_of(st.sampled_from([2.0**53, -(2.0**63), 2.0**63, 0.0, 3.0]), st.floats())


@given(
    INTEGERS,
    st.one_of(INTEGERS, DOUBLES),
    st.sampled_from(
        [
            "a == b",
            "a <= b",
            "b < a",
            "a != 9007199254740992.0",
            "a <= 9007199254740993",
            "abs(a) > 0",
            "-a < b",
            "-a != -9007199254740993",
            "a >= -9223372036854775808",
            "a in (3, 9007199254740992.0)",
            "abs(-a) == a",
            "b > 9007199254740993",
        ]
    ),
)
def test_a_row_is_judged_like_a_table_however_many_digits_its_numbers_have(
    a: int, b: float, text: str
) -> None:
    holds = expressions.compile_text(text, TYPES).holds
    many = {"a": np.array([a], dtype=np.int64), "b": np.array([b])}
    with np.errstate(all="ignore"):
        assert holds(many)[0] == holds({"a": a, "b": b})
