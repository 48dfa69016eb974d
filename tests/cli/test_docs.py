"""``mlkit docs``: the pages that messages refer to are there wherever mlkit is."""

import re
import tomllib
from pathlib import Path

from click.testing import CliRunner

from mlkit.cli.root import cli

ROOT = Path(__file__).parents[2]


def test_the_list_names_every_page_and_the_guide_first() -> None:
    result = CliRunner().invoke(cli, ["docs"])
    assert result.exit_code == 0
    for page in (ROOT / "docs").glob("*.md"):
        assert re.search(rf"^ *{page.stem} ", result.output, re.MULTILINE), page
    assert result.output.index("guide") < result.output.index("validation")


def test_a_page_is_printed_as_it_stands_into_a_pipe() -> None:
    result = CliRunner().invoke(cli, ["docs", "serving"])
    assert result.output == (ROOT / "docs" / "serving.md").read_text()


def test_what_changed_can_be_read_before_an_upgrade_without_a_checkout() -> None:
    result = CliRunner().invoke(cli, ["docs", "changelog"])
    assert result.output == (ROOT / "CHANGELOG.md").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    installed = project["tool"]["setuptools"]["data-files"]["share/doc/mlkit"]
    assert installed == ["docs/*.md", "CHANGELOG.md"]


def test_an_unknown_page_is_an_error_that_names_the_pages() -> None:
    result = CliRunner().invoke(cli, ["docs", "servin"])
    assert result.exit_code == 1
    assert "did you mean 'serving'" in result.output
    assert "monitoring" in result.output


def test_messages_refer_to_pages_that_can_be_read_anywhere() -> None:
    for file in sorted((ROOT / "mlkit").rglob("*.py")):
        text = file.read_text()
        assert not re.search(r"\bsee:? docs/", text), file
        for topic in re.findall(r"mlkit docs ([a-z-]+)", text):
            assert (ROOT / "docs" / f"{topic}.md").exists(), (file, topic)
