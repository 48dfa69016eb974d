"""A series in as many characters, whatever is in it and wherever it is shown."""

import io
import math
import sys

import pytest

from mlkit.cli import spark


@pytest.fixture
def utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))


@pytest.mark.usefixtures("utf8")
@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([], ""),
        ([0.5], "▃"),
        ([0.1] * 5, "▁▁▁▁▁"),  # a quiet series looks quiet
        ([0.0, 0.99, 1.0, 1.9, 2.0, 50.0], "▁▄▅███"),
        ([0.2, None, math.nan, 0.3], "▁··▂"),
        ([math.inf, -1.0], "█▁"),
    ],
)
def test_values_stand_between_nothing_and_twice_the_line(
    values: list[float | None], shown: str
) -> None:
    assert spark.line(values) == shown


@pytest.mark.usefixtures("utf8")
def test_the_top_can_be_chosen() -> None:
    assert spark.line([0.0, 5.0, 10.0], top=10.0) == "▁▅█"


def test_a_terminal_without_blocks_gets_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    shown = spark.line([0.0, 0.5, None, 1.0, 2.0])
    assert shown == "_-?=#"
    assert shown.isascii()
