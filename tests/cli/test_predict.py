import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest


@pytest.fixture
def file(churn: Callable[..., pd.DataFrame], tmp_path: Path) -> Any:
    path = tmp_path / "rows.csv"
    churn(rows=30, seed=5).drop(columns="churned").to_csv(path, index=False)
    return path


def test_predictions_go_to_stdout_as_csv(trained_cli: Any, file: Path) -> None:
    ran = trained_cli.process("predict", "churn", file)
    assert ran.returncode == 0
    found = pd.read_csv(io.StringIO(ran.stdout))
    assert len(found) == 30
    assert "churn v1 predicted 30 rows" in ran.stderr


def test_predictions_go_to_a_file(trained_cli: Any, file: Path, tmp_path: Path) -> None:
    done = trained_cli.json("predict", "churn", file, "-o", tmp_path / "out.csv", "--version", 1)
    assert done == {
        "model": "churn",
        "version": 1,
        "rows": 30,
        "output": str(tmp_path / "out.csv"),
    }
    assert (tmp_path / "out.csv").exists()


def test_json_without_an_output_file_is_wrong_use(trained_cli: Any, file: Path) -> None:
    assert "--json needs --output" in trained_cli("predict", "churn", file, "--json", code=2).output


def test_rows_that_do_not_fit_are_listed(trained_cli: Any, file: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(file).drop(columns="plan")
    frame.to_csv(file, index=False)
    refused = trained_cli.json("predict", "churn", file, "-o", tmp_path / "out.csv", code=1)
    assert refused["problems"] == [{"row": 1, "column": "plan", "problem": "missing"}]
