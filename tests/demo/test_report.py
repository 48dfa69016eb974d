"""The closing words are computed, and name commands that can be typed as they stand."""

import shutil
import sys
from pathlib import Path

import msgspec
import pytest

from mlkit.demo import report
from mlkit.demo.story import Story


def test_the_table_is_short_enough_for_a_terminal(story: Story) -> None:
    assert report.rows(story) == [
        ("Feb", 3000, 9.2, 9.2, "input drift: pressure", "drift: retrained, promoted v2"),
        ("Mar", 3000, 8.0, 12.6, "nothing", "no alert, v2 stays"),
    ]


def test_the_conclusion_names_the_worst_month_of_the_frozen_model(story: Story) -> None:
    said = report.conclusion(story)
    assert "8.2 minutes wrong on the end of that month" in said
    assert "would have been 12.6 minutes wrong in March" in said
    assert "retrained was 8.0 minutes wrong on the same flights" in said
    assert "From February to March: 8.6 minutes live, 10.9 frozen." in said
    assert "1,234 HTTP requests (56 of them" in said
    assert "0 failed; 2 versions trained; 42 s." in said


def test_seven_commands_follow_the_way_to_the_project(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: str(Path(sys.executable).with_name("mlkit")))
    lines = report.closing(story).splitlines()
    assert lines[:3] == [
        f"The year: {story.report}", f"The model: {story.model_page}", "Look around:",
    ]  # fmt: skip
    quoted = str(story.project).replace("'", "'\"'\"'")
    assert lines[3] == f"  cd '{quoted}'"
    assert len(lines) == 4 + len(report.COMMANDS) == 11
    assert all(line.startswith("  mlkit ") for line in lines[4:])


def test_who_has_no_mlkit_on_the_path_is_told_how_to_get_it(
    story: Story, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "activate").touch()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert f"  . {tmp_path}/activate\n  cd " in report.closing(story)


def test_the_end_of_a_month_is_told_with_its_alerts(story: Story) -> None:
    assert report.line(story.months[0]) == (
        "February: error 9.2 min live, 9.2 min frozen v1\n"
        "  alert: v1 drift in pressure (0.39)\n"
        "  retrained, promoted v2: beats v1: mae 8.86 against 11.9, difference -3.1 [-3.8, -2.3]"
    )


def test_failed_requests_are_not_hidden(story: Story) -> None:
    failing = msgspec.structs.replace(
        story, requests=msgspec.structs.replace(story.requests, failed=3)
    )
    assert "3 failed" in report.conclusion(failing)
