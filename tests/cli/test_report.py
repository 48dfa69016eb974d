"""``mlkit report`` writes one page, whole, where it is told to."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlkit.project import Project

Frames = Callable[..., pd.DataFrame]


def test_a_page_replaces_the_one_before_and_leaves_nothing_beside_it(
    trained_cli: Any, tmp_path: Path
) -> None:
    file = tmp_path / "out" / "page.html"
    file.parent.mkdir()
    file.write_text("old")
    done = trained_cli("report", "churn", "-o", file)
    assert f"wrote {file} (" in done.stderr
    assert file.read_text().startswith("<!doctype html>")
    assert list(file.parent.iterdir()) == [file]


def test_without_a_name_it_is_called_after_the_model(
    trained_cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trained_cli("report", "churn")
    assert "<h1>churn</h1>" in (tmp_path / "report-churn.html").read_text()


def test_the_name_of_a_page_cannot_steer_the_terminal(trained_cli: Any, tmp_path: Path) -> None:
    done = trained_cli("report", "churn", "-o", tmp_path / "a\x1b[31mb.html")
    assert "a\\x1b[31mb.html (" in done.stderr
    assert "\x1b[31m" not in done.stderr


def test_a_dash_is_stdout(trained_cli: Any) -> None:
    done = trained_cli("report", "churn", "-o", "-")
    assert done.stdout.startswith("<!doctype html>")
    assert done.stdout.endswith("</html>")
    assert done.stderr == ""


def test_a_device_is_written_to_and_not_replaced(trained_cli: Any, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, False)
    trained_cli("report", "churn", "-o", pipe)
    assert os.read(reader, 15) == b"<!doctype html>"
    os.close(reader)
    assert pipe.is_fifo()


def test_json_has_the_values_and_writes_a_page_only_where_one_is_named(
    trained_cli: Any, trained: Project, churn: Frames, answer: Callable[..., None],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    frame = churn(rows=300, seed=5)
    answer(trained, frame.assign(age=frame["age"] + 25))
    trained_cli("drift", "check", "churn", code=3)
    before = set(tmp_path.iterdir())
    found = trained_cli.json("report", "churn")
    assert set(tmp_path.iterdir()) == before
    assert (found["model"], found["champion"]["version"]) == ("churn", 1)
    assert [advice["verdict"] for advice in found["verdicts"]] == ["drift", "none"]
    assert found["spread"]["features"][0]["tests"][0]["drifted"]
    assert found["drift"][0]["level"] > 1
    assert [alert["kind"] for alert in found["alerts"]] == ["drift"]
    assert trained_cli.json("report", "churn", "-o", "page.html") is not None
    assert (tmp_path / "page.html").exists()
    assert "name another file" in trained_cli("report", "churn", "--json", "-o", "-", code=2).stderr


def test_what_cannot_be_is_refused_with_its_cause(trained_cli: Any, tmp_path: Path) -> None:
    assert "known: churn" in trained_cli("report", "nosuch", code=1).stderr
    assert "not a duration" in trained_cli("report", "churn", "--window", "4x", code=1).stderr
    lost = tmp_path / "nosuch" / "page.html"
    assert str(lost.parent) in trained_cli("report", "churn", "-o", lost, code=1).stderr
    assert "is a directory" in trained_cli("report", "churn", "-o", tmp_path, code=2).stderr
