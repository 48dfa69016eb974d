import re
from collections.abc import Callable
from typing import Any

import pandas as pd

from mlkit.project import Project

Frames = Callable[..., pd.DataFrame]


def test_good_answers_end_with_code_0(
    trained_cli: Any, trained: Project, churn: Frames, answer: Callable[..., None]
) -> None:
    answer(trained, churn(rows=300, seed=5), known=0.5)
    found = trained_cli.json("perf", "check", "churn")
    assert {
        "verdict", "model", "version", "metric", "value", "low", "high", "reference", "rows",
        "coverage",
    } <= set(found)  # fmt: skip
    assert (found["verdict"], found["rows"], found["coverage"]) == ("ok", 150, 0.5)
    assert found["low"] < found["value"] < found["high"]
    shown = trained_cli("perf", "check", "churn").stdout
    assert "on 150 rows" in shown
    assert "50% of the predictions have an actual" in shown
    assert re.search(r"lately: [▃▄▅]{2} \(2 checks; the limit is at half height\)", shown)
    assert [point["rows"] for point in found["history"]] == [150]
    assert found["history"][0]["limit"] == found["limit"]


def test_bad_answers_end_with_code_3_and_one_alert(
    trained_cli: Any, trained: Project, churn: Frames, answer: Callable[..., None]
) -> None:
    frame = churn(rows=300, seed=5)
    turned = frame.assign(churned=frame["churned"].map({"yes": "no", "no": "yes"}))
    answer(trained, turned)
    for _ in range(2):
        assert trained_cli.json("perf", "check", "churn", code=3)["verdict"] == "degraded"
    (alert,) = trained_cli.json("alert", "list")
    assert (alert["key"], alert["times_seen"]) == ("performance:churn", 2)


def test_without_actuals_there_is_no_verdict(trained_cli: Any) -> None:
    found = trained_cli.json("perf", "check", "churn", "--window", "1h")
    assert (found["verdict"], found["value"]) == ("insufficient_data", None)
    assert (
        "no prediction in the window has an actual" in trained_cli("perf", "check", "churn").stdout
    )
