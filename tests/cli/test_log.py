"""``mlkit log``: what was answered, for people, scripts and spreadsheets."""

import csv
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from mlkit.flows.log import logs
from mlkit.project import Project

ROWS = 40


@pytest.fixture
def logged(
    trained: Project, churn: Callable[..., pd.DataFrame], answer: Callable[..., None]
) -> Project:
    """A project whose log has rows of today, half of them with actuals, and of 40 days ago."""
    frame = churn(rows=ROWS).drop(columns="since")
    answer(trained, frame, age=timedelta(days=40))
    answer(trained, frame, age=timedelta(hours=1), known=0.5)
    return trained


def test_an_empty_log_says_where_rows_come_from(trained_cli: Any) -> None:
    assert "no prediction yet (see: mlkit serve)" in trained_cli("log", "show", "churn").stdout
    assert trained_cli.json("log", "show", "churn") == []
    unknown = trained_cli("log", "show", "spam", code=1)
    assert "no model named 'spam'; known: churn" in unknown.stderr


def test_the_newest_rows_come_first_with_their_features_by_name(
    logged: Project, trained_cli: Any
) -> None:
    rows = trained_cli.json("log", "show", "churn", "--limit", "5")
    assert len(rows) == 5
    times = [row["served_at"] for row in rows]
    assert times == sorted(times, reverse=True)
    assert set(rows[0]["features"]) == {"age", "plan", "spend", "active"}
    assert rows[0]["actual"] is None
    assert set(rows[0]["probabilities"]) == {"no", "yes"}
    assert {row["actual"] for row in trained_cli.json("log", "show", "churn", "--limit", "80")} == {
        "yes", "no", None,
    }  # fmt: skip
    assert "plan=" in trained_cli("log", "show", "churn").stdout


def test_places_are_shown_with_the_digits_that_tell_them_apart(
    trained: Project, churn: Callable[..., pd.DataFrame], answer: Callable[..., None],
    trained_cli: Any,
) -> None:  # fmt: skip
    frame = churn(rows=3).drop(columns="since").assign(spend=[47.12344, 47.12391, 48_832.52])
    answer(trained, frame)
    shown = trained_cli("log", "show", "churn").stdout
    assert all(f"spend={place} " in shown for place in ("47.12344", "47.12391", "48832.52"))


def test_sealing_moves_rows_and_no_reader_sees_a_difference(
    logged: Project, trained_cli: Any, tmp_path: Path
) -> None:
    before = logs.read(logged, "churn")
    assert "80 predictions of churn" in _export(trained_cli, tmp_path / "before.csv")
    done = trained_cli("log", "seal", "--older-than", "30d").stdout
    assert "40 predictions from before" in done
    assert "sealed into 1 segments" in done
    assert logs.read(logged, "churn").equals(before)
    _export(trained_cli, tmp_path / "after.csv")
    assert (tmp_path / "after.csv").read_bytes() == (tmp_path / "before.csv").read_bytes()
    assert trained_cli.json("log", "seal", "--older-than", "30d")["rows"] == 0
    assert "is not a duration" in trained_cli("log", "seal", "--older-than", "soon", code=1).stderr


def _export(cli: Any, file: Path, *words: str) -> str:
    return str(cli("log", "export", "churn", file, *words).stdout)


def _rows(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.read_text().splitlines()))


def test_csv_and_parquet_hold_the_same_rows(
    logged: Project, trained_cli: Any, tmp_path: Path
) -> None:
    _export(trained_cli, tmp_path / "log.parquet")
    _export(trained_cli, tmp_path / "log.csv")
    table = pq.read_table(tmp_path / "log.parquet")
    rows = _rows(tmp_path / "log.csv")
    assert len(rows) == table.num_rows == 2 * ROWS
    assert list(rows[0]) == table.column_names
    assert {"id", "version", "served_at", "value", "actual", "age", "plan"} <= set(rows[0])
    assert [row["id"] for row in rows] == table["id"].to_pylist()
    numbers = [json.loads(row["probabilities"]) for row in rows]
    assert numbers == table["probabilities"].to_pylist()


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        (("--since", "30d"), ROWS),
        (("--until", "30d"), ROWS),
        (("--since", "90d", "--until", "60d"), 0),
        (("--since", "2020-01-01"), 2 * ROWS),
        (("--until", "2020-01-01T12:00:00Z"), 0),
    ],
)
def test_a_stretch_of_time_is_exported(
    logged: Project, trained_cli: Any, tmp_path: Path, words: Any, rows: int
) -> None:
    done = trained_cli.json("log", "export", "churn", tmp_path / "log.csv", *words)
    assert (done["rows"], done["file"]) == (rows, str(tmp_path / "log.csv"))


def test_what_cannot_be_exported_is_explained_and_writes_nothing(
    logged: Project, trained_cli: Any, tmp_path: Path
) -> None:
    wrong = trained_cli("log", "export", "churn", tmp_path / "log.xlsx", code=1)
    assert "ends in neither .csv nor .parquet" in wrong.stderr
    when = trained_cli("log", "export", "churn", tmp_path / "a.csv", "--since", "soon", code=1)
    assert "'soon' is no time; write for example 2026-05-01" in when.stderr
    where = trained_cli("log", "export", "churn", tmp_path / "no" / "a.csv", code=1)
    assert f"{tmp_path / 'no'}" in where.stderr
    assert "No such file or directory; check the path" in where.stderr
    assert not list(tmp_path.glob("*.csv"))


def test_text_that_a_spreadsheet_would_run_is_defused_when_asked(
    trained: Project,
    trained_cli: Any,
    churn: Callable[..., pd.DataFrame],
    answer: Callable[..., None],
    tmp_path: Path,
) -> None:
    frame = churn(rows=5).drop(columns="since")
    frame["plan"] = '=HYPERLINK("evil")'
    answer(trained, frame)
    _export(trained_cli, tmp_path / "plain.csv")
    _export(trained_cli, tmp_path / "safe.csv", "--for-excel")
    plain, safe = _rows(tmp_path / "plain.csv"), _rows(tmp_path / "safe.csv")
    assert {row["plan"] for row in plain} == {'=HYPERLINK("evil")'}
    assert {row["plan"] for row in safe} == {'\'=HYPERLINK("evil")'}


def test_a_damaged_segment_is_named_and_what_mends_it(logged: Project, trained_cli: Any) -> None:
    trained_cli("log", "seal", "--older-than", "30d")
    (segment,) = logged.log_dir.glob("churn/*/*.parquet")
    content = segment.read_bytes()
    segment.write_bytes(content[:-1] + b"x")
    result = trained_cli("log", "export", "churn", logged.root / "out.csv", code=1)
    assert "does not have the bytes that were sealed; restore a backup" in result.stderr
    segment.unlink()
    assert "is missing" in trained_cli("log", "export", "churn", "out.csv", code=1).stderr


def test_late_actuals_reach_sealed_rows(
    trained: Project,
    trained_cli: Any,
    churn: Callable[..., pd.DataFrame],
    answer: Callable[..., None],
    tmp_path: Path,
) -> None:
    answer(trained, churn(rows=20).drop(columns="since"), age=timedelta(days=40), known=0.0)
    ids = logs.read(trained, "churn")["_id"].to_pylist()
    trained_cli("log", "seal", "--older-than", "30d")
    file = tmp_path / "late.csv"
    file.write_text("prediction_id,actual\n" + "".join(f"{one},yes\n" for one in ids))
    assert "20 accepted" in trained_cli("actual", "add", file).stdout
    assert "20 had one already" in trained_cli("actual", "add", file).stdout
    assert set(logs.read(trained, "churn")["_actual"].to_pylist()) == {"yes"}
    trained_cli("log", "seal", "--older-than", "30d")
    assert len(logs.read(trained, "churn", actuals="required")) == 20
