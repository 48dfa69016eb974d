"""Small pictures say the same in shapes and in words."""

import re
from xml.etree import ElementTree as ET

import pytest

from mlkit.pages import bars
from mlkit.steps.drift.histogram import Bar, Distribution, Pair


def _number(**changes: object) -> Distribution:
    usual = {
        "measure": "number", "present": Pair(9, 9), "missing": Pair(0, 0),
        "reference": (0.5, 0.25, 0.25), "current": (0.0, 0.0, 1.0), "edges": (0.0, 1.0, 2.0, 3.0),
        "reference_quantiles": (0.1, 1.0, 2.9), "current_quantiles": (2.1, 2.5, 2.9),
    }  # fmt: skip
    return Distribution(**{**usual, **changes})  # type: ignore[arg-type]  # a table of cases


def _read(drawn: str) -> ET.Element:
    return ET.fromstring(drawn)  # noqa: S314  # our own


def test_bins_are_as_high_as_their_share() -> None:
    svg = _read(bars.distribution("x", _number()))
    path = next(p for p in svg.iter() if p.get("class") == "reference").attrib["d"]
    heights = [52 - float(y) for y in re.findall(r",([\d.]+)", path)]
    assert heights == pytest.approx([0, 25, 25, 12.5, 12.5, 12.5, 12.5, 0], abs=0.1)
    assert [t.text for t in svg.iter() if t.tag.endswith("text")] == ["0", "3"]


def test_bins_of_whole_numbers_are_named_by_whole_numbers() -> None:
    svg = _read(bars.distribution("x", _number(edges=(-0.5, 2.5, 5.5, 8.5))))
    assert [t.text for t in svg.iter() if t.tag.endswith("text")] == ["0", "8"]


def test_words_tell_what_moved() -> None:
    said = bars.described(_number())
    assert said == "median 1 → 2.5, middle 90%: 0.1 to 2.9 → 2.1 to 2.9"
    svg = _read(bars.distribution("x", _number()))
    assert svg.get("aria-label") == f"distribution of x: {said}"


def test_values_that_lie_close_have_digits_enough_to_tell_them_apart() -> None:
    places = _number(
        reference_quantiles=(-74.0131, -74.0060, -73.9712),
        current_quantiles=(-74.0129, -73.9855, -73.9701),
        edges=(-74.02, -74.0, -73.98, -73.96),
    )
    assert bars.described(places) == (
        "median -74.006 → -73.9855, middle 90%: -74.0131 to -73.9712 → -74.0129 to -73.9701"
    )
    svg = _read(bars.distribution("long", places))
    assert [t.text for t in svg.iter() if t.tag.endswith("text")] == ["-74.02", "-73.96"]


def test_labels_are_named_and_so_is_the_rest() -> None:
    found = Distribution(
        measure="label", present=Pair(9, 9), missing=None,
        bars=(Bar("<b>", 0.7, 0.2), Bar("", 0.1, 0.0)), others=Pair(0.2, 0.3),
        unseen=Pair(0.0, 0.5),
    )  # fmt: skip
    svg = _read(bars.distribution("x", found))
    texts = [t.text for t in svg.iter() if t.tag.endswith("text")]
    assert texts == [
        "<b>", "70% → 20%", "(empty)", "10% → 0%", "other labels", "20% → 30%",
        "new labels", "0% → 50%",
    ]  # fmt: skip
    widths = [float(r.attrib["width"]) for r in svg.iter() if r.tag.endswith("rect")]
    assert widths[0] / widths[1] == pytest.approx(3.5, rel=0.01)
    assert widths[3] == 0


@pytest.mark.parametrize(
    "found",
    [
        _number(current=(), current_quantiles=(), present=Pair(9, 0)),
        Distribution(measure="label", present=Pair(0, 0), missing=None),
        Distribution(measure="hour", present=Pair(0, 0), missing=None, steps=("0", "23")),
    ],
)
def test_a_window_without_values_has_a_picture_all_the_same(found: Distribution) -> None:
    _read(bars.distribution("x", found))
    assert bars.described(found) == "no values in the window"


def test_a_spark_has_gaps_and_ends_in_what_is_now() -> None:
    svg = _read(bars.spark([0.1, 0.2, None, 0.3, 9.0]))
    lines = [p for p in svg.iter() if p.tag == "polyline"]
    assert len(lines) == 2
    assert [p.get("class") for p in svg.iter() if p.tag == "polygon"] == ["bad"]
    assert svg.get("aria-label") == "levels of late: 0.1, 0.2, not judged, 0.3, 9"
    ends = [float(y) for line in lines for y in re.findall(r",([\d.]+)", line.attrib["points"])]
    assert 0 < min(ends) < max(ends) < 26
    assert _read(bars.spark([])) is not None
