from xml.etree import ElementTree as ET

import pytest
from markupsafe import Markup

from mlkit import printable
from mlkit.pages import svg


@pytest.mark.parametrize("evil", ["<script>", 'a" onload="x', "a & b", "\x00\x1b[2J", "\ud800"])
def test_no_word_breaks_out_of_its_place(evil: str) -> None:
    drawn = svg.element("text", evil, svg.element("title", evil), aria_label=evil)
    read = ET.fromstring(drawn)  # noqa: S314  # our own
    assert [child.tag for child in read.iter()] == ["text", "title"]
    assert set(read.attrib) == {"aria-label"}
    shown = printable.line(evil)
    assert read.text == read.findtext("title") == read.get("aria-label") == shown


def test_words_are_cut_and_drawings_are_not() -> None:
    drawn = svg.element("text", "x" * 5000, d="L" * 5000)
    assert len(drawn) < 5500
    assert "L" * 5000 in drawn


def test_a_picture_has_a_name_for_who_does_not_see_it() -> None:
    read = ET.fromstring(svg.picture(10, 20, Markup("<g/>"), kind="k", title="what it shows"))  # noqa: S314  # our own
    assert read.get("role") == "img"
    assert read.get("aria-label") == read.findtext("title") == "what it shows"
