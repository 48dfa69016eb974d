"""Texts that are forgotten go from messages however these have shown them."""

import pytest

from mlkit.printable import line
from mlkit.steps.rules import forgetting
from mlkit.steps.rules.forgetting import ERASED

LONG = "Bahnhofstrasse 12, hinterer Eingang, 8001 Zuerich, c/o Huberlein-Muster AG und so weiter"
ODD = "Inv\u200bisible\x07 Kunde \\ QQ"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LONG, f"'plan' has '{LONG}' once"),
        (LONG, f"first '{LONG[:80]}' in row 1"),
        (LONG, f"new: '{LONG[:37]}...' (8 rows)"),
        (LONG, f"unseen: {LONG[:39]}… (8), pro (3)"),
        (LONG, LONG[:40]),
        (ODD, f"first {ODD!r} in row 1"),
        (ODD, line(f"first '{ODD}' in row 1")),
    ],
)
def test_a_text_goes_as_it_was_shown(text: str, said: str) -> None:
    found = forgetting.pattern(frozenset({text}))
    assert found is not None
    left = forgetting.from_tree({"summary": said}, found)["summary"]
    assert ERASED in left
    assert text[:3] not in left
    assert left.endswith(said.rpartition(" ")[2]) or said == LONG[:40]


def test_a_text_that_only_begins_alike_for_a_while_stays() -> None:
    found = forgetting.pattern(frozenset({LONG}))
    assert found is not None
    other = f"'{LONG[:20]} and another street that is as long as this one'"
    assert found.sub(ERASED, other) == other
