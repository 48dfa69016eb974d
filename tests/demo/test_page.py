"""The report is one valid file with the numbers of the year and nothing from anywhere else."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mlkit.demo import page, picture
from mlkit.demo.story import Story


def test_every_tag_is_closed_in_order(story: Story, read_page: Any) -> None:
    text = page.render(story)
    reader = read_page(text)
    assert text.startswith("<!doctype html>")
    assert reader.open == []
    kinds = [tag for tag, _ in reader.tags]
    assert [kinds.count(tag) for tag in ("html", "h1", "svg", "table")] == [1, 1, 1, 1]


def test_nothing_is_fetched_from_anywhere(story: Story, read_page: Any) -> None:
    text = page.render(story)
    fetching = {"src", "href", "srcset", "data", "action", "xlink:href"}
    assert not [tag for tag, attributes in read_page(text).tags if fetching & set(attributes)]
    assert not {"script", "link", "iframe", "img", "base"} & {
        tag for tag, _ in read_page(text).tags
    }
    assert re.findall(r"[a-z]+://[^\s\"']+", text) == ["http://www.w3.org/2000/svg"]
    assert "url(" not in text
    assert "@import" not in text


def test_the_table_has_a_row_per_month_with_its_numbers_and_its_evidence(
    story: Story, read_page: Any
) -> None:
    head, february, march = read_page(page.render(story)).rows
    assert head == ["month", "flights", "live", "frozen", "what moved", "what the loop did"]
    assert february == [
        "February", "3,000", "9.2", "9.2", "input drift: pressure",
        "drift alert, retrained, promoted v2: "
        "beats v1: mae 8.86 against 11.9, difference -3.1 [-3.8, -2.3]",
    ]  # fmt: skip
    assert march[:4] == ["March", "3,000", "8.0", "12.6"]
    assert march[5] == "no alert, v2 stays"


def test_cells_that_head_others_say_so(story: Story, read_page: Any) -> None:
    scopes = [attributes.get("scope") for tag, attributes in read_page(page.render(story)).tags
              if tag == "th"]  # fmt: skip
    assert scopes == ["col"] * 6 + ["row"] * 2


def test_the_picture_is_that_of_the_months(story: Story) -> None:
    assert picture.draw(story.months) in page.render(story)


@pytest.mark.parametrize("evil", ["<script>x</script>", "a & b", '"quoted"', "</td>"])
def test_what_comes_from_data_is_escaped(story: Story, read_page: Any, evil: str) -> None:
    month = msgspec.structs.replace(story.months[0], drifted=(evil,), reason=evil)
    marked = msgspec.structs.replace(story, months=(month,), project=Path("/tmp") / evil)  # noqa: S108  # a name only
    text = page.render(marked)
    reader = read_page(text)
    assert reader.open == []
    assert "script" not in {tag for tag, _ in reader.tags}
    assert reader.rows[1][4] == f"input drift: {evil}"
    assert reader.rows[1][5].endswith(evil)
    assert f"<code>mlkit --project {marked.project}" not in text or evil.isalnum()
