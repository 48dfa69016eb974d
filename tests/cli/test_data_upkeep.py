"""``mlkit data export``, ``gc`` and ``rebuild`` as a person and as a script uses them."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest


@pytest.fixture
def two(trained_cli: Any, churn: Any) -> Any:
    """Two more versions of churn, of which one is the newest."""
    for number in (2, 3):
        file = trained_cli.root / f"churn{number}.csv"
        churn(rows=300 + number, seed=number).to_csv(file, index=False)
        trained_cli("data", "add", "churn", file)
    return trained_cli


def test_what_is_exported_can_be_added_again(two: Any, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    said = two("data", "export", "churn@1", "-o", out).stdout
    assert said == f"400 rows of churn@1 written to {out}\n"
    again = two.json("data", "add", "churn", out)
    assert again["sha256"] == two.json("data", "show", "churn@1")["sha256"]
    assert not two.json("data", "add", "churn", out)["new"]


def test_an_export_as_parquet_has_the_same_rows(two: Any, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    two("data", "export", "churn", "-o", out)
    assert pq.read_table(out).num_rows == 303


def test_an_export_to_a_pipe_is_csv_and_nothing_else(two: Any, tmp_path: Path) -> None:
    done = two.process("data", "export", "churn@1")
    file = tmp_path / "piped.csv"
    file.write_text(done.stdout)
    assert (done.returncode, len(pd.read_csv(file))) == (0, 400)
    assert done.stderr == "400 rows of churn@1 written to -\n"


def test_an_export_to_nowhere_leaves_nothing(two: Any, tmp_path: Path) -> None:
    assert ".csv or .parquet" in two("data", "export", "churn", "-o", "x.xls", code=1).stderr
    two("data", "export", "churn", "-o", tmp_path / "no" / "x.csv", code=1)
    assert list(tmp_path.glob("**/*.part")) == []


def test_nothing_is_deleted_unless_somebody_says_so(two: Any) -> None:
    seen = two.json("data", "gc", "--dry-run")
    assert [one["reference"] for one in seen["versions"]] == ["churn@2"]
    assert "say --yes" in two("data", "gc", code=2).stderr
    done = two.json("data", "gc", "--yes")
    assert (done["versions"], done["dry_run"]) == (seen["versions"], False)
    assert "nothing" not in two("data", "gc").stdout
    shown = two("data", "show", "churn@2").stdout
    assert "make them again with: mlkit data rebuild churn@2" in shown
    assert "data rebuild churn@2" in two("train", "churn", "--data", "churn@2", code=1).stderr


def test_a_rebuild_says_whether_the_bytes_are_the_same(two: Any) -> None:
    two("data", "gc", "--yes")
    said = two("data", "rebuild", "churn@2").stdout
    assert said.startswith("churn@2: 302 rows made again, the same bytes (sha256 ")
    assert "its file was put back" in said
    (two.root / "churn2.csv").unlink()
    refused = two.json("data", "rebuild", "churn@2", code=3)
    assert (refused["same"], refused["kind"]) == (False, "file")
    assert "is gone" in refused["reason"]
