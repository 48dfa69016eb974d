"""Free text drifts by its length and by the words it is made of."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.steps.drift import detection, reference, texts, violations
from mlkit.steps.drift.detection import DriftRule

RULE = DriftRule()
WORDS = [f"word{i}" for i in range(500)]
STRANGE = [f"mot{i}" for i in range(500)]


def comments(rows: int, seed: int, *, length: int = 8, words: list[str] = WORDS) -> pa.Table:
    rng = np.random.default_rng(seed)
    lengths = rng.poisson(length, rows) + 1
    return pa.table({"comment": [" ".join(rng.choice(words, n)) for n in lengths]})


def test_comments_alike_are_ok_and_are_no_labels() -> None:
    found = detection.compare_tables(comments(3_000, 1), comments(1_000, 2), RULE)
    assert found.verdict == "ok"
    assert {f.name for f in found.features} == {"length(comment)", "words(comment)"}


def test_longer_comments_are_drift_of_the_length_alone() -> None:
    found = detection.compare_tables(comments(3_000, 1), comments(1_000, 2, length=12), RULE)
    assert found.drifted == ("length(comment)",)


def test_comments_in_another_language_are_drift_of_the_words_alone() -> None:
    mixed = [*WORDS[:250], *[word.replace("word", "moot") for word in WORDS[250:]]]
    found = detection.compare_tables(comments(3_000, 1), comments(1_000, 2, words=mixed), RULE)
    assert found.drifted == ("words(comment)",)


def test_words_are_drawn_from_rows_that_are_not_measured() -> None:
    """Every text knows its own words; of those that chose the vocabulary none would be strange."""
    rng = np.random.default_rng(4)
    table, other = (
        pa.table({"name": [f"{a:x} {b:x}" for a, b in rng.integers(0, 2**60, (4_000, 2))]})
        for _ in range(2)
    )
    (_, _, words) = reference.summarize(table).columns
    assert words.labels == ("0",)
    assert "words(name)" not in detection.compare_tables(table, other, RULE).drifted


def test_identifiers_that_are_always_new_are_no_drift() -> None:
    first, second = (
        pa.table({"id": [f"order-{i:08d}" for i in range(start, start + 2_000)]})
        for start in (0, 500_000)
    )
    assert detection.compare_tables(first, second, RULE).drifted == ()


def test_a_few_labels_repeated_are_labels() -> None:
    assert not texts.is_free(10_000, 1_000, 254)
    assert not texts.is_free(200, 200, 254)
    assert texts.is_free(300, 299, 254)


def test_the_file_holds_no_text_and_is_small() -> None:
    rng = np.random.default_rng(3)
    secret = [f"{a} secret{b}" for a, b in rng.integers(0, 10**9, (20_000, 2))]
    content = reference.dump(reference.summarize(pa.table({"note": secret})))
    assert len(content) < 200_000
    assert not any("secret" in str(p.labels) for p in reference.load(content).columns)


def test_of_long_and_many_texts_the_beginning_and_a_part_is_read() -> None:
    long = pa.chunked_array([pa.array(["known " * 400 + "strange " * 10_000] * 3)])
    known = violations.hashes(["known"])
    assert texts.known_share(long, known).to_pylist() == pytest.approx([1.0] * 3, abs=0.01)
    many = pa.chunked_array([pa.array(["known", "strange"] * 20_000)])
    share = texts.known_share(many, known)
    assert 9_000 < len(share) - share.null_count <= 10_000


@settings(max_examples=40, deadline=None)
@given(st.lists(st.none() | st.text(max_size=30), min_size=1, max_size=50))
def test_any_text_has_a_share_or_none(rows: list[str | None]) -> None:
    column = pa.chunked_array([pa.array(rows, pa.string())])
    shares = texts.known_share(column, texts.vocabulary(column)).to_pylist()
    assert len(shares) == len(rows)
    for text, share in zip(rows, shares, strict=True):
        assert share is None or (text is not None and 0 <= share <= 1)


@pytest.mark.parametrize("strange", [pa.array([1.5] * 500), pa.nulls(500, pa.string())])
def test_a_column_that_is_no_text_any_more_breaks_nothing(strange: pa.Array) -> None:
    found = detection.compare_tables(comments(1_000, 1), pa.table({"comment": strange}), RULE)
    assert found.verdict == "drift"
