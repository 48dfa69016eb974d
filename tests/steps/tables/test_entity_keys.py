"""A key is the same in a text and as a whole number only digit by digit."""

import pyarrow as pa
import pytest

from mlkit.steps.tables import entity_keys


@pytest.mark.parametrize(
    ("values", "kind", "keys"),
    [
        (["7", "007", "x", "+7", None, " 7", "-7", "0", "00"], "integer",
         [7, None, None, None, None, None, -7, 0, None]),
        ([7, None, -3], "text", ["7", None, "-3"]),
        (["a", "007"], "text", ["a", "007"]),
        ([1, 2], "integer", [1, 2]),
    ],
)  # fmt: skip
def test_keys_are_translated_without_loss(values: list[object], kind: str, keys: object) -> None:
    found = entity_keys.as_keys(pa.chunked_array([values]), kind)
    assert found is not None
    assert found.to_pylist() == keys


def test_what_is_neither_text_nor_a_whole_number_is_no_key() -> None:
    assert entity_keys.as_keys(pa.array([1.5]), "text") is None
