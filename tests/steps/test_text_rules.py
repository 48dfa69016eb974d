"""A table is checked by RE2 only where that reads a pattern as Python, which checks a row, does."""

import warnings

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlkit.steps import text_rules
from mlkit.steps.schema import Rule

PARTS = st.sampled_from(
    ["a", "B", "1", "-", "^", "$", ".", "|", "(", ")", "[", "]", "[^", "[[:", ":]", "alpha", "{",
     "}", "{,", "{1,", "{2}", ",", "*", "+", "?", r"\d", r"\W", r"\b", r"\.", r"\]", "&&", "--"]
)  # fmt: skip
TEXTS = st.text(alphabet="aBx1-]:{,} \n^é[", max_size=5)


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(["str_matches", "str_contains"]),
    st.lists(PARTS, max_size=6).map("".join),
    st.lists(TEXTS, min_size=1, max_size=6),
)
@example("str_matches", "[A-Z]{,3}$", ["AB"])
@example("str_matches", "[[:alpha:]]", ["a", "[]"])
@example("str_contains", "a[b[:digit:]]", ["a1", "ab]"])
def test_a_pattern_means_the_same_for_a_table_and_for_a_row(
    name: str, pattern: str, texts: list[str]
) -> None:
    rule = Rule(name, {"pattern": pattern})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sets that may mean more one day
        try:
            holds = text_rules.matches(rule)
        except Exception:  # noqa: BLE001  # no pattern, which the rules refuse
            return
        broken = text_rules.broken(pa.chunked_array([texts]), rule)
    assert broken is not None
    assert broken.tolist() == [not holds(text) for text in texts]


@pytest.mark.parametrize("pattern", ["^[A-Z]{3}$", r"\d+\.\d{1,2}", "[^@]+@[^@]+", "(ab|cd)*"])
def test_patterns_of_every_day_are_left_to_re2(
    pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_rules, "matches", None)
    rule = Rule("str_matches", {"pattern": pattern})
    assert text_rules.broken(pa.chunked_array([["abc"]]), rule) is not None
