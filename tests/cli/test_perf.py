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


def test_what_is_expected_is_shown_with_when_not_to_trust_it(
    trained_cli: Any, trained: Project, churn: Frames, answer: Callable[..., None]
) -> None:
    answer(trained, churn(rows=300, seed=5), known=0.0)
    shown = trained_cli("perf", "check", "churn").stdout
    assert "estimated: log_loss 0." in shown
    assert "(assumed unchanged) before actuals come (holdout 0." in shown
    assert "not to be trusted: its holdout of 80 rows is too small to learn from" in shown
    found = trained_cli.json("perf", "check", "churn")["estimated"]
    assert {
        "metric", "value", "low", "high", "rows", "trusted", "reason", "past_error", "past_windows",
    } <= set(found)  # fmt: skip


def test_past_errors_and_blindness_are_told() -> None:
    from mlkit.cli.perf import _estimated
    from mlkit.flows.monitoring.estimates import Estimate

    found = Estimate(
        metric="mae", value=3.0, low=2.5, high=3.5, least=2.6, rows=9, way="inputs", trusted=True,
        reason="", past_error=0.25, past_windows=12,
    )  # fmt: skip
    assert _estimated(found, 2.75) == (
        "mae 3 [2.5, 3.5] before actuals come (holdout 2.75); blind to concept drift; "
        "was off by 0.25 (median of 12 windows)"
    )
