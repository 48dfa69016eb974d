"""The picture is one readable SVG, right to a tenth of a pixel, whatever the numbers are."""

import re
from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlkit.demo import picture
from mlkit.demo.story import Month

SVG = "{http://www.w3.org/2000/svg}"
ERRORS = st.floats(0, 1e300)


def _read(months: list[Month]) -> ET.Element:
    return ET.fromstring(picture.draw(months))  # noqa: S314  # our own


def _dots(svg: ET.Element, kind: str) -> list[tuple[float, float]]:
    circles = [c for c in svg.iter(f"{SVG}circle") if c.get("class") == kind]
    return [(float(c.attrib["cx"]), float(c.attrib["cy"])) for c in circles][:-1]  # the legend's


def _texts(svg: ET.Element, kind: str) -> list[str]:
    return [t.text or "" for t in svg.iter(f"{SVG}text") if t.get("class") == kind]


@given(errors=st.lists(st.tuples(ERRORS, ERRORS), min_size=1, max_size=11))
def test_any_errors_make_a_picture_inside_its_frame(
    month: Callable[..., Month], errors: list[tuple[float, float]]
) -> None:
    months = [
        month(number, mae_live=live, mae_frozen=frozen)
        for number, (live, frozen) in enumerate(errors, start=2)
    ]
    svg = _read(months)
    width, height = (float(word) for word in svg.attrib["viewBox"].split()[2:])
    for kind in ("live", "frozen"):
        dots = _dots(svg, kind)
        assert len(dots) == len(errors)
        assert all(0 < x < width and 0 < y < height for x, y in dots)


def test_dots_stand_where_the_axis_says(month: Callable[..., Month]) -> None:
    months = [month(2, mae_live=10.0, mae_frozen=20.0), month(3, mae_live=5.0, mae_frozen=12.5)]
    svg = _read(months)
    lines = [line for line in svg.iter(f"{SVG}line") if line.get("class") == "grid"]
    heights = [float(line.attrib["y1"]) for line in lines]
    labels = _texts(svg, "end")
    at = dict(zip(labels, heights, strict=True))
    assert list(at.values()) == sorted(at.values(), reverse=True)  # y grows downwards
    assert [y for _, y in _dots(svg, "live")] == [at["10"], at["5"]]
    first, second = (y for _, y in _dots(svg, "frozen"))
    assert (first, second) == (at["20"], pytest.approx((at["10"] + at["15"]) / 2, abs=0.06))


def test_months_curves_and_new_versions_are_named(month: Callable[..., Month]) -> None:
    months = [month(2, version=2), month(3, version=2, action="kept"), month(4, version=4)]
    svg = _read(months)
    assert _texts(svg, "version") == ["v2", "v4"]
    assert _texts(svg, "middle") == ["Feb", "Mar", "Apr"]
    assert _texts(svg, "unit") == ["minutes wrong, on average:"]
    assert _texts(svg, "live") == ["live champion, mended by the loop"]
    assert _texts(svg, "frozen") == ["frozen v1, left alone"]


def test_who_does_not_see_it_hears_what_it_shows(month: Callable[..., Month]) -> None:
    months = [month(2), month(9, mae_live=6.61, mae_frozen=17.08)]
    svg = _read(months)
    said = svg.findtext(f"{SVG}title") or ""
    assert (svg.get("role"), svg.get("aria-label")) == ("img", said)
    assert "February to September" in said
    assert "between 6.6 and 9.2" in said
    assert "up to 17.1" in said


def test_every_colour_has_a_dark_twin(month: Callable[..., Month]) -> None:
    style = _read([month()]).findtext(f"{SVG}style") or ""
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    rule = re.compile(r"(\.errors [^{]+){[^}]*#")
    assert set(rule.findall(light)) <= set(rule.findall(dark))
