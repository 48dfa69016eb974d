"""The fingerprint of a request: the same however it is spelled, and linear in its size."""

import json
import random
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlkit.server import fingerprint
from mlkit.server.problems import RefusedError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip


@given(st.dictionaries(st.text(), VALUES, max_size=5), st.randoms())
def test_order_spaces_and_escapes_do_not_count(
    body: dict[str, object], chance: random.Random
) -> None:
    items = list(body.items())
    chance.shuffle(items)
    plain = json.dumps(body).encode()
    other = json.dumps(dict(items), indent=2, ensure_ascii=True, separators=(" , ", " : "))
    assert fingerprint.canonical(plain) == fingerprint.canonical(other.encode())


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1", "1.0", True), ("1e2", "100", True), ("0.1", "1e-1", True), ("1", "true", False),
        ("9007199254740993", "9007199254740992", False), ("1e20", "100000000000000000000", True),
        ("1e20", "100000000000000000001", False), ("0", "-0.0", True), ("1", '"1"', False),
        ("1e308", "1" + "0" * 308, False), ("9" * 301, "9" * 300 + "8", False),
        ("9" * 9_000, "9" * 9_000, True), ("null", "[]", False), ("[1,2]", "[2,1]", False),
    ],
)  # fmt: skip
def test_numbers_are_compared_by_value(one: str, other: str, *, same: bool) -> None:
    first, second = (
        fingerprint.canonical(b'{"rows": ' + text.encode() + b"}") for text in (one, other)
    )
    assert (first == second) == same


def test_a_body_that_is_nested_too_deeply_is_refused_and_no_error() -> None:
    with pytest.raises(RefusedError, match="nested too deeply"):
        fingerprint.canonical(b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}")


@pytest.mark.parametrize(
    "make",
    [
        lambda n: b'{"a":"' + b'\\"' * n + b'"}',
        lambda n: b'{"a":[' + b",".join([b"1.5"] * n) + b"]}",
        lambda n: b'{"a":[' + b",".join([b"9" * 299] * (n // 100)) + b"]}",
        lambda n: b'{"a":' + b"9" * n + b"}",
        lambda n: b'{"a":0.' + b"3" * n + b"}",
        lambda n: b"{" + b",".join(b'"k%d":1' % k for k in range(n // 4)) + b"}",
    ],
    ids=["quotes", "floats", "long numbers", "one number", "one fraction", "keys"],
)
def test_twice_the_body_takes_about_twice_the_time(make: Callable[[int], bytes]) -> None:
    def took(body: bytes) -> float:
        best = 9.0
        for _ in range(5):
            started = time.process_time()
            fingerprint.canonical(body)
            best = min(best, time.process_time() - started)
        return best

    small, large = took(make(40_000)), took(make(160_000))
    assert large < 8 * small + 0.01
