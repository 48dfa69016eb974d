"""URLs of other databases: what of them is shown, and what the environment fills in."""

from pathlib import Path

import pytest

from mlkit.errors import InvalidInputError
from mlkit.store import foreign


def test_variables_are_filled_in_wherever_they_stand_and_shown_as_they_are() -> None:
    text = "postgresql://host/shop?password=${SHOP}&options=${A}&options=-c x&user=ann"
    url = foreign.parse(text, Path())
    assert "password=${SHOP}" in foreign.public(url)
    filled = foreign.fill(url, {"SHOP": "s$1&x", "A": "b"})
    assert dict(filled.query) == {"password": "s$1&x", "options": ("b", "-c x"), "user": "ann"}
    assert "s$1" not in foreign.public(filled)
    again = foreign.parse(foreign.public(url), Path())
    assert again.query["password"] == "${SHOP}"
    with pytest.raises(InvalidInputError, match="names the variable SHOP"):
        foreign.fill(url, {"A": "b"})
