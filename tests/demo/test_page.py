"""The report is one valid file with the numbers of the year and nothing from anywhere else."""

import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from mlkit.demo import page, picture
from mlkit.demo.story import Story

VOID = {"meta"}  # of HTML; shapes of an SVG end themselves


class Reader(HTMLParser):
    """Reads a page, insists that every tag is closed in order, and keeps what matters."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag} has an attribute twice"
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert self.open[-1] == "svg"
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def test_every_tag_is_closed_in_order(story: Story) -> None:
    text = page.render(story)
    reader = Reader(text)
    assert text.startswith("<!doctype html>")
    assert reader.open == []
    kinds = [tag for tag, _ in reader.tags]
    assert [kinds.count(tag) for tag in ("html", "h1", "svg", "table")] == [1, 1, 1, 1]


def test_nothing_is_fetched_from_anywhere(story: Story) -> None:
    text = page.render(story)
    fetching = {"src", "href", "srcset", "data", "action", "xlink:href"}
    assert not [tag for tag, attributes in Reader(text).tags if fetching & set(attributes)]
    assert not {"script", "link", "iframe", "img", "base"} & {tag for tag, _ in Reader(text).tags}
    assert re.findall(r"[a-z]+://[^\s\"']+", text) == ["http://www.w3.org/2000/svg"]
    assert "url(" not in text
    assert "@import" not in text


def test_the_table_has_a_row_per_month_with_its_numbers_and_its_evidence(story: Story) -> None:
    head, february, march = Reader(page.render(story)).rows
    assert head == ["month", "flights", "live", "frozen", "drifted", "what the loop did"]
    assert february == [
        "February", "3,000", "9.2", "9.2", "pressure",
        "drift alert, retrained, promoted v2: "
        "beats v1: mae 8.86 against 11.9, difference -3.1 [-3.8, -2.3]",
    ]  # fmt: skip
    assert march[:4] == ["March", "3,000", "8.0", "12.6"]
    assert march[5] == "no alert, v2 stays"


def test_cells_that_head_others_say_so(story: Story) -> None:
    scopes = [attributes.get("scope") for tag, attributes in Reader(page.render(story)).tags
              if tag == "th"]  # fmt: skip
    assert scopes == ["col"] * 6 + ["row"] * 2


def test_the_picture_is_that_of_the_months(story: Story) -> None:
    assert picture.draw(story.months) in page.render(story)


@pytest.mark.parametrize("evil", ["<script>x</script>", "a & b", '"quoted"', "</td>"])
def test_what_comes_from_data_is_escaped(story: Story, evil: str) -> None:
    month = msgspec.structs.replace(story.months[0], drifted=(evil,), reason=evil)
    marked = msgspec.structs.replace(story, months=(month,), project=Path("/tmp") / evil)  # noqa: S108  # a name only
    text = page.render(marked)
    reader = Reader(text)
    assert reader.open == []
    assert "script" not in {tag for tag, _ in reader.tags}
    assert reader.rows[1][4] == evil
    assert reader.rows[1][5].endswith(evil)
    assert f"<code>mlkit --project {marked.project}" not in text or evil.isalnum()
