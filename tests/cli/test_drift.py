import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from scipy import stats
from sqlalchemy import select

from mlkit.cli.root import cli as root_command
from mlkit.project import Project
from mlkit.store.reports import DriftReport

Frames = Callable[..., pd.DataFrame]


def compare(*args: object, code: int = 0) -> Result:
    """Run `mlkit drift compare` where there is no project."""
    words = ["drift", "compare", *map(str, args)]
    result = CliRunner().invoke(root_command, words, prog_name="mlkit")
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def files(tmp_path: Path, churn: Frames) -> tuple[Path, Path, Path]:
    """A reference, rows like it, and rows that are older."""
    reference, same, older = (tmp_path / name for name in ("ref.csv", "same.parquet", "older.csv"))
    churn(rows=1_500, seed=1).to_csv(reference, index=False)
    churn(rows=600, seed=2).to_parquet(same)
    frame = churn(rows=600, seed=3)
    frame.assign(age=frame["age"] + 15).to_csv(older, index=False, sep=";")
    return reference, same, older


def test_two_files_are_compared_without_a_project(files: tuple[Path, Path, Path]) -> None:
    reference, same, _ = files
    found = json.loads(compare(reference, same, "--json").stdout)
    assert (found["verdict"], found["rows"]) == ("ok", {"reference": 1500, "current": 600})
    assert (found["summary"], found["drifted"]) == ("ok: no drift in 18 tests on 600 rows", [])
    assert {
        "name", "kind", "test", "statistic", "p_value", "q_value", "effect", "threshold", "drifted",
    } <= set(found["features"][0])  # fmt: skip


def test_drift_ends_with_code_3_and_scipys_statistics(files: tuple[Path, Path, Path]) -> None:
    reference, _, older = files
    found = json.loads(compare(reference, older, "--json", code=3).stdout)
    features = {feature["name"]: feature for feature in found["features"]}
    assert found["verdict"] == "drift"
    drifted = [name for name, feature in features.items() if feature["drifted"]]
    assert drifted == ["age", "range(age)"]
    first, second = pd.read_csv(reference), pd.read_csv(older, sep=";")
    theirs = stats.ks_2samp(first["age"], second["age"], method="asymp")
    assert features["age"]["statistic"] == pytest.approx(theirs.statistic, abs=1e-12)
    shares = [frame["plan"].value_counts().sort_index() for frame in (first, second)]
    theirs = stats.chi2_contingency(np.array(shares), correction=False)
    assert features["plan"]["statistic"] == pytest.approx(theirs.statistic, rel=1e-12)


def test_a_person_sees_a_table_with_the_worst_first(files: tuple[Path, Path, Path]) -> None:
    reference, _, older = files
    lines = compare(reference, older, code=3).stdout.splitlines()
    assert lines[1].split() == ["feature", "effect", "threshold", "level", "q", "drifted"]
    assert lines[3].split()[0] == "age"
    _, effect, threshold, level, *_ = lines[3].split()
    assert float(level) == pytest.approx(float(effect) / float(threshold), rel=0.01)
    (rule,) = (line for line in lines if line.startswith("drifted is level 1 or more"))
    assert "q is below 0.05 (alpha)" in rule
    assert lines[-1].startswith("drift in age (")


def test_it_explains_how_sure_it_is_and_what_it_could_have_seen(
    files: tuple[Path, Path, Path],
) -> None:
    reference, same, _ = files
    shown = compare(reference, same, "--explain").stdout
    assert shown.split()[:5] == ["feature", "kind", "test", "statistic", "p"]
    assert "the chance of a false alarm is at most 5.00%" in shown
    assert "found in 4 of 5 cases" in shown
    assert "a shift by 0." in shown


def test_a_check_explains_the_budget(trained: Project, trained_cli: Any) -> None:
    shown = trained_cli("drift", "check", "churn", "--explain").stdout
    assert "allowed is one false alarm in 90 days; 90 checks are expected" in shown


def test_too_few_rows_say_so_and_the_limit_can_be_chosen(
    files: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    few = tmp_path / "few.csv"
    pd.read_csv(files[0]).sample(60, random_state=0).to_csv(few, index=False)
    assert json.loads(compare(files[0], few, "--json").stdout)["verdict"] == "insufficient_data"
    judged = json.loads(compare(files[0], few, "--min-rows", 50, "--json").stdout)
    assert judged["verdict"] == "ok"
    assert "insufficient data: 60 rows" in compare(files[0], few).stdout
    assert compare(files[0], few, "--json").stderr == (
        "no verdict: insufficient data: 60 rows; compare more rows, or set drift.min_rows lower\n"
    )


def test_a_time_column_orders_the_rows_and_is_not_compared(files: tuple[Path, Path, Path]) -> None:
    found = json.loads(compare(*files[:2], "--time", "since", "--json").stdout)
    assert "since" not in {feature["name"] for feature in found["features"]}
    refused = compare(*files[:2], "--time", "nosuch", code=1)
    assert "has no column 'nosuch'; it has: since, age, plan" in refused.stderr


def test_a_time_of_the_rows_that_was_not_named_is_pointed_out(tmp_path: Path) -> None:
    hours = pd.date_range("2026-01-01", periods=400, freq="h", tz="UTC")
    frame = pd.DataFrame({"at": hours, "age": np.arange(400) % 7})
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    frame[:200].to_csv(first, index=False)
    frame[200:].to_csv(second, index=False)
    hint = "say --time at"
    found = json.loads(compare(first, second, "--json").stdout)
    assert hint in found["warnings"][0]
    found = json.loads(compare(first, second, "--time", "at", "--json").stdout)
    assert not any(hint in warning for warning in found["warnings"])


def test_a_column_that_is_no_time_is_refused(
    files: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    refused = compare(*files[:2], "--time", "plan", code=1)
    assert "ref.csv has values like" in refused.stderr
    assert "name a column of dates, times or numbers" in refused.stderr
    assert "has rows without a value" in compare(*files[:2], "--time", "spend", code=1).stderr
    numbered = tmp_path / "numbered.csv"
    frame = pd.read_csv(files[0])
    frame.assign(since=range(len(frame))).to_csv(numbered, index=False)
    assert (
        "dates in one file and numbers"
        in compare(files[0], numbered, "--time", "since", code=1).stderr
    )
    compare(numbered, numbered, "--time", "since")


def test_times_written_as_text_are_times(files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    """Of 2026-1-2 and 2026-1-10 the first is the earlier one, whatever their letters say."""
    frame = pd.read_parquet(files[1]).sample(frac=1, random_state=0)
    as_times, as_text = tmp_path / "times.parquet", tmp_path / "text.parquet"
    frame.assign(since=pd.to_datetime(frame["since"])).to_parquet(as_times)
    frame.to_parquet(as_text)
    found = [compare(files[0], file, "--time", "since", "--json").stdout
             for file in (as_times, as_text)]  # fmt: skip
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("age,plan\n", "has a header but no rows"),
        ("other\n1\n", "the two tables have no column in common"),
        ("age,age\n1,2\n", "age"),
    ],
)
def test_a_useless_file_is_an_error_with_its_cause(
    files: tuple[Path, Path, Path], tmp_path: Path, content: str, message: str
) -> None:
    broken = tmp_path / "broken.csv"
    broken.write_text(content)
    assert message in compare(files[0], broken, code=1).stderr
    assert "error" in json.loads(compare(files[0], broken, "--json", code=1).stdout)


def test_a_real_process_needs_neither_project_nor_scikit_learn(
    files: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    words = [sys.executable, "-X", "importtime", "-m", "mlkit", "drift", "compare", "--json"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLKIT_")}
    done = subprocess.run(
        [*words, *map(str, files[:2])], capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**environment, "MLKIT_DRIFT_MIN_ROWS": "601"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "insufficient_data"  # by the environment's limit
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not {"scipy.stats", "sklearn", "sqlalchemy"} & loaded


def test_check_ends_with_code_3_and_tells_the_log(
    trained_cli: Any, trained: Project, churn: Frames, answer: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    frame = churn(rows=300, seed=5)
    answer(trained, frame.assign(age=frame["age"] + 25))
    found = trained_cli.json("drift", "check", "churn", code=3)
    assert (found["verdict"], found["model"], found["version"]) == ("drift", "churn", 1)
    assert found["rows"] == {"reference": 400, "current": 300}
    assert set(found["drifted"]) == {
        "age", "range(age)", "prediction(value)", "probability(yes)",
    }  # fmt: skip
    assert [r.getMessage()[:26] for r in caplog.records] == ["firing: churn v1 drift in "]
    assert "drift in age (0.4)" in trained_cli("drift", "check", "churn", code=3).stdout
    assert len(caplog.records) == 1


def test_check_of_an_older_window_and_of_wrong_names(
    trained_cli: Any, trained: Project, churn: Frames, answer: Callable[..., None]
) -> None:
    (trained.root / "mlkit.toml").write_text("[drift]\nalpha = 0.01\n")
    answer(trained, churn(rows=300, seed=5), age=timedelta(days=3))
    assert trained_cli.json("drift", "check", "churn")["verdict"] == "insufficient_data"
    assert trained_cli.json("drift", "check", "churn", "--window", "4d")["verdict"] == "ok"
    refused = trained_cli("drift", "check", "churn", "--window", "4x", code=1)
    assert "'4x' is not a duration" in refused.stderr
    assert "known: churn" in trained_cli("drift", "check", "nosuch", code=1).stderr


def test_a_check_says_what_it_has_compared_with(
    trained_cli: Any, churn: Frames, answer: Callable[..., None], trained: Project
) -> None:
    answer(trained, churn(rows=400, seed=5), age=timedelta(hours=36))
    answer(trained, churn(rows=300, seed=6))
    assert "reference: 400 rows (training)" in trained_cli("drift", "check", "churn").stdout
    found = trained_cli.json("drift", "check", "churn", "--against", "previous")
    assert found["standing"] is False
    assert (found["reference"]["kind"], found["reference"]["name"]) == ("previous", "previous")
    assert (found["reference"]["rows"], found["reference"]["weeks"]) == (400, None)
    shown = trained_cli("drift", "check", "churn", "--against", "previous").stdout
    assert re.search(r"reference: 400 rows of 20\d\d-.*Z to 20\d\d-.*Z \(previous\)", shown)
    refused = trained_cli("drift", "check", "churn", "--against", "nosuch", code=1).stderr
    assert "no baseline of churn named 'nosuch'; known: none yet" in refused


def test_the_standing_reference_is_a_setting(
    trained_cli: Any, churn: Frames, answer: Callable[..., None], trained: Project
) -> None:
    answer(trained, churn(rows=400, seed=5), age=timedelta(hours=36))
    answer(trained, churn(rows=300, seed=6))
    settings = trained.root / "mlkit.toml"
    settings.write_text('[models.churn]\ndrift_reference = "previous"\n')
    found = trained_cli.json("drift", "check", "churn")
    assert (found["reference"]["name"], found["standing"]) == ("previous", True)
    settings.write_text('[drift]\nreference = "../x"\n')
    assert "reference" in trained_cli("drift", "check", "churn", code=1).stderr


def test_a_baseline_is_made_listed_used_and_removed(
    trained_cli: Any, churn: Frames, answer: Callable[..., None], trained: Project
) -> None:
    answer(trained, churn(rows=400, seed=5), age=timedelta(days=5))
    assert "no baseline yet" in trained_cli("drift", "baseline", "list").stdout
    made = trained_cli.json("drift", "baseline", "add", "churn", "may", "--start", "9d",
                            "--end", "2d")  # fmt: skip
    assert (made["model"], made["name"], made["rows"]) == ("churn", "may", 400)
    assert trained_cli.json("drift", "baseline", "list", "churn") == [made]
    assert " may " in trained_cli("drift", "baseline", "list").stdout
    found = trained_cli.json("drift", "check", "churn", "--against", "may", "--window", "7d")
    assert (found["verdict"], found["reference"]["kind"]) == ("ok", "baseline")
    assert "is removed" in trained_cli("drift", "baseline", "remove", "churn", "may").stdout
    assert trained_cli.json("drift", "baseline", "list") == []
    shown = trained_cli("drift", "baseline", "add", "churn", "june", "--window", "7d").stdout
    assert "mlkit drift check churn --against june" in shown


@pytest.mark.parametrize("words", [(), ("--window", "1d", "--start", "2d"), ("--end", "2d")])
def test_a_baseline_needs_one_stretch(trained_cli: Any, words: tuple[str, ...]) -> None:
    refused = trained_cli("drift", "baseline", "add", "churn", "may", *words, code=2)
    assert "give either --window, or --start" in refused.stderr


def test_a_check_shows_what_the_last_ones_said(
    trained_cli: Any, trained: Project, churn: Frames, answer: Callable[..., None]
) -> None:
    assert trained_cli.json("drift", "check", "churn")["history"]["points"][0]["level"] is None
    frame = churn(rows=300, seed=5)
    answer(trained, frame.assign(age=frame["age"] + 25))
    found = trained_cli.json("drift", "check", "churn", code=3)
    assert [point["verdict"] for point in found["history"]["points"]] == [
        "insufficient_data", "drift",
    ]  # fmt: skip
    assert found["history"]["features"]["age"] == [None, pytest.approx(13, rel=0.2)]
    shown = trained_cli("drift", "check", "churn", code=3).stdout.splitlines()
    assert shown[1].split()[-1] == "lately"
    age = next(line for line in shown if line.split()[:1] == ["age"])
    assert age.endswith("·██")
    quiet = next(line for line in shown if line.split()[:1] == ["plan"])
    assert quiet[-1] in "▁▂▃▄"
    with trained.read() as s:
        details = s.scalars(select(DriftReport.details)).all()
    assert all("history" not in each for each in details)


def test_the_table_fits_into_80_columns(
    trained_cli: Any, trained: Project, churn: Frames, answer: Callable[..., None]
) -> None:
    answer(trained, churn(rows=300, seed=5))
    for _ in range(13):
        shown = trained_cli("drift", "check", "churn").stdout
    table = shown.split("\n\n")[0].splitlines()
    assert max(map(len, table)) <= 80, shown
    assert len(table[3].split()[-1]) == 12


def test_a_new_label_a_sentinel_and_a_broken_cell_are_named(tmp_path: Path, churn: Frames) -> None:
    churn(rows=1_500, seed=1).to_csv(tmp_path / "ref.csv", index=False)
    frame = churn(rows=600, seed=2).astype({"age": object})
    frame.loc[:29, "plan"], frame.loc[100:149, "spend"] = "gold", -999.0
    frame.loc[200:219, "age"] = "unknown"
    frame.to_csv(tmp_path / "cur.csv", index=False)
    lines = compare(tmp_path / "ref.csv", tmp_path / "cur.csv", code=3).stdout.splitlines()
    assert "unseen(plan): 'gold' (30 rows)" in lines
    assert "range(spend): '-999' (47 rows)" in lines or any(
        line.startswith("range(spend): '-999' (") for line in lines
    )
    assert "type(age): 'unknown' (20 rows)" in lines


def _together(rho: float, rows: int, seed: int) -> pd.DataFrame:
    noise = np.random.default_rng(seed).normal(size=(rows, 2))
    mixed = rho * noise[:, 0] + np.sqrt(1 - rho**2) * noise[:, 1]
    return pd.DataFrame({"a": noise[:, 0], "b": mixed, "word": ["x", "y"] * (rows // 2)})


def test_joint_drift_is_seen_if_one_asks_for_it(tmp_path: Path) -> None:
    first, second = tmp_path / "ref.csv", tmp_path / "cur.csv"
    _together(0.7, 2_400, 1).to_csv(first, index=False)
    _together(-0.7, 300, 2).to_csv(second, index=False)
    assert json.loads(compare(first, second, "--json").stdout)["verdict"] == "ok"
    found = json.loads(compare(first, second, "--joint", "--json", code=3).stdout)
    (joint,) = (feature for feature in found["features"] if feature["drifted"])
    assert (joint["name"], joint["kind"], joint["test"]) == ("joint", "joint", "auc")
    assert set(joint["examples"]) >= {"a", "b"}
    assert joint["low"] < joint["statistic"] < joint["high"]


def test_why_there_is_no_joint_test_is_said(files: tuple[Path, Path, Path]) -> None:
    reference, same, _ = files
    found = compare(reference, same, "--joint", "--min-rows", 100)
    assert found.stdout.splitlines()[-1].startswith("ok: ")
    few = reference.with_name("few.csv")
    few.write_text("".join(reference.read_text().splitlines(keepends=True)[:50]))
    found = compare(reference, few, "--joint")
    assert "warning: joint_skipped: 1500 rows of the reference and 49 others" in found.stderr


def test_an_encoding_that_is_true_of_one_file_alone_is_refused(tmp_path: Path) -> None:
    files = {"utf-8": tmp_path / "ref.csv", "cp1252": tmp_path / "cur.csv"}
    text = "city,age\n" + "".join(
        f"{city},{age}\n" for age in range(150) for city in ("Köln", "Ulm")
    )
    for encoding, file in files.items():
        file.write_text(text, encoding)
    refused = compare(*files.values(), "--encoding", "cp1252", code=1)
    assert "ref.csv is UTF-8, and --encoding cp1252 is said of both files" in refused.output
    compare(files["cp1252"], files["cp1252"], "--encoding", "cp1252")
