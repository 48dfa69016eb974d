"""On the project that the demo leaves every command works and has something to show."""

import csv
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pytest
from click.testing import CliRunner

from mlkit.cli.root import cli as root_command
from mlkit.demo import flights, report
from mlkit.store import schema

Run = Callable[..., str]
FOUND = (0, 3)  # a check may have found something


def _run(root: Path, line: str, codes: Sequence[int] = (0,)) -> str:
    words = ["--project", str(root), *shlex.split(line)]
    done = CliRunner().invoke(root_command, words, prog_name="mlkit")
    assert done.exit_code in codes, f"{line}: exit {done.exit_code}: {done.output}"
    return done.stdout


@pytest.fixture
def look(played: Any) -> Run:
    """Run a command that changes nothing on the project itself."""
    return lambda line, codes=(0,): _run(played.root, line, codes)


@pytest.fixture
def act(left_behind: Path) -> Run:
    """Run a command on a copy of the project."""
    return lambda line, codes=(0,): _run(left_behind, line, codes)


@pytest.mark.parametrize(
    ("line", "shows"),
    [
        ("status", "flights"),
        ("doctor", "artifacts sound and signed"),
        ("model list", "flights"),
        ("model show flights", "beats the dummy"),
        ("model history flights", "the first version"),
        ("model compare flights 1 2", "mae"),
        ("data list", "flights"),
        ("data show flights@1", "26,398 rows"),
        ("data diff flights_with_weather@1 flights_with_weather@2", "pressure"),
        ("features list", "weather_at_origin"),
        ("features lineage weather_at_origin", "flights_with_weather@1"),
        ("log show flights", "origin=JFK"),
        ("alert list --all", "resolved"),
        ("job history", "retrain"),
        ("job list", "35 1 * * *"),
        ("db status", schema.head()),
    ],
)
def test_commands_that_look_have_something_to_show(look: Run, line: str, shows: str) -> None:
    assert shows in look(line)
    json.loads(look(f"{line} --json"))


def test_the_page_of_the_model_shows_the_year(look: Run) -> None:
    assert "Features, the worst first" in look("report flights -o -")
    assert len(json.loads(look("report flights --json"))["drift"]) == 12


def test_the_status_is_that_of_now(look: Run, played: Any) -> None:
    screen = json.loads(look("status --json"))
    (model,) = screen["models"]
    assert (model["model"], model["versions"]) == ("flights", played.story["versions"])
    assert model["champion"] == played.story["months"][-1]["version"]
    assert model["drift"]["verdict"] in ("ok", "drift")
    assert model["performance"]["verdict"] in ("ok", "degraded")
    open_ones = {alert["key"] for alert in screen["alerts"]}
    assert ("drift:flights" in open_ones) == (model["drift"]["verdict"] == "drift")
    assert ("performance:flights" in open_ones) == (model["performance"]["verdict"] == "degraded")


def test_the_last_champion_can_be_judged_now(act: Run) -> None:
    drift = json.loads(act("drift check flights --json", FOUND))
    assert drift["verdict"] in ("ok", "drift")
    assert drift["rows"]["current"] >= 200
    performance = json.loads(act("perf check flights --json", FOUND))
    assert performance["verdict"] in ("ok", "degraded")
    assert performance["rows"] >= 100
    assert performance["coverage"] > 0.8


def test_every_job_of_the_year_ran_once_and_well(look: Run, played: Any) -> None:
    runs = json.loads(look("job history --limit 100 --json"))
    assert {run["status"] for run in runs} == {"ok"}
    assert len(runs) == 11 * 3 + 2
    assert len({(run["job"], run["due"]) for run in runs}) == len(runs)


def test_the_champion_answers_a_file(
    act: Run, left_behind: Path, year: pa.Table, tmp_path: Path
) -> None:
    file, out = tmp_path / "some.csv", tmp_path / "answers.csv"
    pyarrow.csv.write_csv(flights.of_month(year, 9).slice(0, 50), file)
    act(f"predict flights {file} -o {out}")
    with out.open() as stream:
        answers = list(csv.DictReader(stream))
    assert len(answers) == 50
    assert all(10 < float(row["prediction"]) < 800 for row in answers)


def test_a_champion_can_be_rolled_back_and_promoted_again(act: Run, played: Any) -> None:
    last = played.story["months"][-1]["version"]
    act("model rollback flights --reason 'to see whether it works'")
    before = json.loads(act("model show flights --json"))["champion"]
    assert before != last
    act(f"model promote flights {last}")
    assert json.loads(act("model show flights --json"))["champion"] == last
    assert "to see whether it works" in act("model history flights")


def test_it_can_be_retrained_by_hand(act: Run, played: Any) -> None:
    done = json.loads(act("retrain flights --json"))
    assert done["model"] == "flights"
    assert done["version"] == played.story["versions"] + 1
    assert done["rows"] > 100


def test_a_backup_of_it_is_sound_and_comes_back(act: Run, tmp_path: Path) -> None:
    file = tmp_path / "demo.backup"
    act(f"backup create {file}")
    act(f"backup verify {file}")
    act(f"backup restore {file} --to {tmp_path / 'back'}")
    assert "flights" in _run(tmp_path / "back", "model list")


def test_all_but_the_last_of_the_closing_commands_work_as_they_stand(
    left_behind: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(left_behind)
    commands = [command for command, _ in report.COMMANDS]
    assert commands[-1] == "serve"  # which goes on; the next test ends it
    for command in commands[:-1]:
        _run(left_behind, command, FOUND)


def test_the_last_one_serves_the_champion(left_behind: Path) -> None:
    words = [sys.executable, "-m", "mlkit", "serve", "--port", "0", "--workers", "1"]
    with subprocess.Popen(
        words, cwd=left_behind, env=os.environ, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        line = server.stderr.readline()
        server.terminate()
        server.stderr.read()
        assert server.wait(30) == 0
    assert line.startswith("serving on http://127.0.0.1:")
