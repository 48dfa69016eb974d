"""``mlkit retrain`` prints the contract and exits with 3 only if asked to."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest


@pytest.fixture
def sourced(trained_cli: Any, churn: Callable[..., pd.DataFrame]) -> Any:
    """The trained project, its dataset with a source that has new rows of the same world."""
    (trained_cli.root / "mlkit.toml").write_text('[datasets.churn]\nsource = "churn.csv"\n')
    churn(rows=500, seed=6).to_csv(trained_cli.root / "churn.csv", index=False)
    return trained_cli


def test_retrain_prints_the_contract_as_json(sourced: Any) -> None:
    done = sourced.json("retrain", "churn", "--data", "source")
    assert (done["model"], done["version"], done["promoted"]) == ("churn", 2, False)
    assert set(done["metrics"]) == set(done["intervals"])
    assert done["verdict"]["reason"] in done["summary"]
    assert (done["dataset"], done["rows"], done["new"]) == ("churn@2", 500, True)


def test_a_refusal_is_exit_code_3_only_under_check(sourced: Any) -> None:
    refused = sourced.json("retrain", "churn", "--data", "source", "--check", code=3)
    assert refused["error"].startswith("kept v1")
    assert (refused["version"], refused["verdict"]["accepted"]) == (2, False)
    again = sourced("retrain", "churn", "--data", "source", "--check").stdout
    assert "has not changed since churn@2" in again


def test_a_person_reads_what_was_decided_and_why(trained_cli: Any) -> None:
    said = trained_cli("retrain", "churn").stdout
    assert said == (
        "churn: kept v1: the log of the last 90d has 0 rows with an actual, 50 are needed\n"
    )
    assert "known: churn" in trained_cli("retrain", "chrun", code=1).stderr
