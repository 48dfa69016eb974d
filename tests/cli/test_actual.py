"""``mlkit actual add``: many actuals from a file, all or none."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlkit.flows.log import logs
from mlkit.project import Project


@pytest.fixture
def ids(
    trained: Project, churn: Callable[..., pd.DataFrame], answer: Callable[..., None]
) -> list[str]:
    """Ids of predictions whose truth is not known yet."""
    answer(trained, churn(rows=6).drop(columns="since"), known=0.0)
    return list(logs.read(trained, "churn")["_id"].to_pylist())


def test_parquet_and_times_are_read(
    trained: Project, trained_cli: Any, ids: list[str], tmp_path: Path
) -> None:
    moments = pa.array([1_700_000_000_000_000] * 6, pa.timestamp("us", "UTC"))
    table = pa.table({"prediction_id": ids, "actual": ["yes"] * 6, "observed_at": moments})
    pq.write_table(table, tmp_path / "actuals.parquet")
    received = trained_cli.json("actual", "add", tmp_path / "actuals.parquet")
    assert received == {"accepted": 6, "duplicates": 0, "unknown": []}
    known = logs.read(trained, "churn", actuals="required")
    assert {str(moment) for moment in known["_observed_at"].to_pylist()} == {
        "2023-11-14 22:13:20+00:00"
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prediction_id,truth\n{0},yes\n", "no column 'actual'; it needs prediction_id, actual"),
        ("prediction_id,actual\n{0},yes\n{1},\n", "row 2: 'actual' is missing; nothing was stored"),
        ("prediction_id,actual\n,yes\n", "row 1: 'prediction_id' is missing"),
        ("prediction_id,actual,observed_at\n{0},yes,soon\n", "observed_at"),
        ("", "is empty"),
    ],
)
def test_a_file_that_is_wrong_is_explained_and_nothing_is_stored(
    trained: Project, trained_cli: Any, ids: list[str], tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "actuals.csv"
    file.write_text(text.format(*ids))
    assert message in trained_cli("actual", "add", file, code=1).stderr
    assert len(logs.read(trained, "churn", actuals="required")) == 0


def test_unknown_ids_are_listed_and_the_known_ones_stored(
    trained_cli: Any, ids: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "actuals.csv"
    file.write_text(f"prediction_id,actual\n{ids[0]},no\nnone-of-ours,no\n")
    done = trained_cli("actual", "add", file)
    assert "1 accepted, 0 had one already, 1 belong to no prediction of this project" in done.stdout
    assert "unknown: none-of-ours" in done.stderr


def test_a_label_that_the_model_has_never_seen_is_kept_and_named(
    trained: Project, trained_cli: Any, ids: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "actuals.csv"
    lines = [f"{ids[0]},no", f"{ids[1]},yess", f"{ids[2]},yess", f"{ids[1]},yess"]
    file.write_text("\n".join(["prediction_id,actual", *lines[:2]]) + "\n")
    assert "1 with the label 'yess'" in trained_cli("actual", "add", file).stderr
    file.write_text("\n".join(["prediction_id,actual", *lines[2:]]) + "\n")
    assert trained_cli.json("actual", "add", file) == {
        "accepted": 1, "duplicates": 1, "unknown": [], "unknown_labels": {"yess": 2},
    }  # fmt: skip
    known = logs.read(trained, "churn", actuals="required")
    assert sorted(known["_actual"].to_pylist()) == ["no", "yess", "yess"]


def test_rows_that_contradict_are_named_and_corrected_only_when_asked(
    trained: Project, trained_cli: Any, ids: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "actuals.csv"
    file.write_text(f"prediction_id,actual\n{ids[0]},yes\n{ids[1]},yes\n")
    assert trained_cli.json("actual", "add", file)["accepted"] == 2
    file.write_text(f"prediction_id,actual\n{ids[2]},no\n{ids[0]},yes\n{ids[1]},no\n")
    refused = trained_cli.json("actual", "add", file, code=1)
    assert [problem["row"] for problem in refused["problems"]] == [3]
    said = trained_cli("actual", "add", file, code=1).stderr
    assert f"row 3: prediction {ids[1]} has another actual already; nothing was stored" in said
    assert "--correct" in said
    assert sorted(logs.read(trained, "churn", actuals="required")["_actual"].to_pylist()) == [
        "yes", "yes",
    ]  # fmt: skip
    done = trained_cli.json("actual", "add", file, "--correct")
    assert done == {"accepted": 1, "duplicates": 1, "unknown": [], "corrected": 1}
    assert trained_cli.json("actual", "add", file)["duplicates"] == 3
