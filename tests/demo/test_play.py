"""The year as it was really played: the live error stays low, the frozen model's doubles."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner

from mlkit.cli.root import cli as root_command
from mlkit.demo import flights
from mlkit.flows.registry import deploy
from mlkit.project import open_project
from mlkit.steps.inputs import encode

PATIENCE_S = 60


def test_stdout_is_one_json_document_of_the_promised_shape(played: Any) -> None:
    assert played.code == 0, played.stderr
    story = played.story
    assert set(story) == {
        "months", "requests", "versions", "project",
        "report", "model_page", "mae_january", "slowest_swap_s", "seconds",
    }  # fmt: skip
    assert [month["month"] for month in story["months"]] == list(range(2, 13))
    assert {tuple(month) for month in story["months"]} == {
        ("month", "rows", "mae_live", "mae_frozen", "drift", "drifted", "diagnosis",
         "alerts", "action", "version", "reason")
    }  # fmt: skip
    assert {month["rows"] for month in story["months"]} == {played.rows}
    assert story["project"] == str(played.root)
    assert set(story["requests"]) == {"sent", "failed", "meanwhile"}


def test_no_request_fails_while_models_are_retrained_and_promoted(played: Any) -> None:
    requests = played.story["requests"]
    assert requests["failed"] == 0
    assert requests["sent"] > 11 * played.rows / 25
    assert requests["meanwhile"] > 20
    assert 0 < played.story["slowest_swap_s"] < 2


def test_the_frozen_model_rots_and_the_live_one_does_not(played: Any) -> None:
    story = played.story
    live = {month["month"]: month["mae_live"] for month in story["months"]}
    frozen = {month["month"]: month["mae_frozen"] for month in story["months"]}
    assert frozen[9] > 1.6 * story["mae_january"]
    assert live[9] < 0.6 * frozen[9]
    assert fmean(live.values()) < 0.85 * fmean(frozen.values())
    assert max(live.values()) < 1.7 * story["mae_january"]


def test_each_month_tells_whether_the_inputs_moved_or_the_error_grew_or_both(played: Any) -> None:
    months = played.story["months"]
    for month in months:
        kinds = {alert["kind"] for alert in month["alerts"]}
        said = month["drift"]
        assert said.startswith("input drift") == ("drift" in kinds), month
        assert ("grew" in said or said == "concept drift") == ("performance" in kinds), month
        assert bool(month["drifted"]) == ("drift" in kinds), month
    assert len({month["drift"] for month in months}) >= 3


def test_the_page_of_the_model_has_the_year_in_it(played: Any) -> None:
    text = Path(played.story["model_page"]).read_text(encoding="utf-8")
    assert "<h1>flights</h1>" in text
    assert "The 12 reports as a table" in text


def test_the_loop_promotes_only_after_an_alert(played: Any) -> None:
    months = played.story["months"]
    champion = 1
    for month in months:
        kinds = {alert["kind"] for alert in month["alerts"]}
        assert kinds <= {"drift", "performance"}
        assert (month["action"] == "none") == (not kinds)
        assert (month["version"] != champion) == (month["action"] == "promoted")
        assert month["version"] >= champion
        champion = month["version"]
    actions = [month["action"] for month in months]
    assert actions.count("promoted") >= 3
    trained = sum(action != "none" for action in actions)
    assert played.story["versions"] == 1 + trained


def test_the_same_seed_gives_the_flights_and_the_frozen_errors_that_anyone_can_compute(
    played: Any, year: pa.Table, weather: pa.Table
) -> None:
    project = open_project(played.root, environment={})
    v1 = deploy.load_version(project, deploy.find_version(project, "flights", 1))
    for told in played.story["months"]:
        month, seed = told["month"], (played.seed, told["month"])
        drawn = flights.sample(flights.of_month(year, month), played.rows, seed=seed)
        known = _with_weather(drawn, flights.of_month(weather, month))
        answers = v1.predictor.predict(encode.matrix_of_table(v1.schema, known))
        error = np.abs(np.array(answers.values, dtype=float) - drawn["air_time"].to_numpy()).mean()
        assert told["mae_frozen"] == pytest.approx(error, abs=1e-9)
        if told["month"] == 2:  # v1 was live then, with the weather as it was when it was asked
            assert told["mae_live"] == pytest.approx(error, rel=0.05)
    project.close()


def _with_weather(drawn: pa.Table, weather: pa.Table) -> pa.Table:
    """Return flights with the newest weather of the last three hours, as pandas joins them."""
    joined = pd.merge_asof(
        drawn.to_pandas(),
        weather.to_pandas().sort_values("scheduled", kind="stable"),
        on="scheduled",
        by="origin",
        tolerance=pd.Timedelta("3h") - pd.Timedelta("1us"),
    )
    return pa.Table.from_pandas(joined, preserve_index=False)


def test_what_was_served_is_what_would_be_learned(left_behind: Path) -> None:
    words = ["--project", str(left_behind), "features", "test", "--rows", "300", "--json"]
    done = CliRunner().invoke(root_command, words)
    assert done.exit_code == 0, done.output
    (model,) = json.loads(done.stdout)["skew"]
    (view,) = model["views"]
    assert (view["view"], view["rows"], view["skewed"]) == ("weather_at_origin", 300, 0)


def test_progress_is_told_on_stderr_month_by_month(played: Any) -> None:
    assert re.findall(r"^(\w+): error", played.stderr, re.MULTILINE) == [
        flights.month_name(month) for month in range(2, 13)
    ]
    assert played.stderr.startswith("January: v1 learned from 26,398 flights\n")
    assert "kept v" not in re.sub(r"retrained, kept v\d+", "", played.stderr)
    assert "Traceback" not in played.stderr


def test_the_report_has_the_numbers_of_the_json_document(played: Any) -> None:
    text = Path(played.story["report"]).read_text(encoding="utf-8")
    for month in played.story["months"]:
        numbers = (f"{played.rows:,}", f"{month['mae_live']:.1f}", f"{month['mae_frozen']:.1f}")
        cells = "".join(f'<td class="number">{number}</td>' for number in numbers)
        assert f"{flights.month_name(month['month'])}</th>{cells}" in text


def test_ctrl_c_ends_it_with_130_and_leaves_no_process_behind(tmp_path: Path) -> None:
    root = tmp_path / "demo"
    words = [sys.executable, "-m", "mlkit", "demo", "--dir", str(root), "--rows", "100", "--json"]
    demo = subprocess.Popen(
        words,
        env={**os.environ, "MARK": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    _wait_for(root / "log" / "server.log", "serving on")
    os.killpg(demo.pid, signal.SIGINT)  # as a terminal does: to the whole group
    stdout, stderr = demo.communicate(timeout=PATIENCE_S)
    assert (demo.returncode, stdout) == (130, "")
    assert stderr.endswith(f"what there is of the project is in {root}\ninterrupted\n")
    assert "Traceback" not in stderr
    deadline = time.monotonic() + 10
    while (left := _marked(str(root))) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []


def _wait_for(file: Path, text: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not (file.exists() and text in file.read_text()):
        assert time.monotonic() < deadline, f"no '{text}' in {file}"
        time.sleep(0.05)


def _marked(mark: str) -> list[str]:
    """Return the commands of the processes that inherited the mark."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and mark.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found
