from typing import Any

import pytest


@pytest.fixture
def two(trained_cli: Any) -> Any:
    trained_cli("train", "churn", "--data", "churn", "--estimator", "boosting")
    return trained_cli


def test_show_names_the_champion_and_every_version(two: Any) -> None:
    shown = two.json("model", "show", "churn")
    assert (shown["model"], shown["champion"]) == ("churn", 1)
    assert [one["version"] for one in shown["versions"]] == [2, 1]
    assert shown["versions"][1]["accepted"] is True
    assert "champion" in two("model", "show", "churn").stdout


def test_list_has_one_line_for_each_model(two: Any) -> None:
    (one,) = two.json("model", "list")
    assert (one["model"], one["champion"], one["versions"]) == ("churn", 1, 2)
    assert "log_loss" in two("model", "list").stdout


def test_an_empty_registry_says_how_to_begin(cli: Any) -> None:
    assert "mlkit train NAME --data DATASET" in cli("model", "list").stdout


def test_compare_shows_what_differs(two: Any) -> None:
    found = two.json("model", "compare", "churn", 1, 2)
    assert {row["name"] for row in found["metrics"]} >= {"log_loss", "accuracy"}
    differences = {row["name"]: row for row in found["differences"]}
    assert differences["estimator"] == {
        "name": "estimator",
        "first": "linear",
        "second": "boosting",
    }
    assert "dataset" not in differences
    assert found["note"] == ""
    assert "estimator" in two("model", "compare", "churn", 1, 2).stdout


def test_promote_and_rollback_and_their_history(two: Any) -> None:
    refused = two.json("model", "promote", "churn", 2, code=3)
    assert refused["verdict"]["accepted"] is False
    done = two.json("model", "promote", "churn", 2, "--force", "--reason", "drill")
    assert done == {
        "model": "churn",
        "version": 2,
        "previous": 1,
        "action": "promote",
        "reason": "drill",
    }
    assert "v1 is the champion of churn (before: v2)" in two("model", "rollback", "churn").stdout
    past = two.json("model", "history", "churn")
    assert [(one["version"], one["action"]) for one in past] == [
        (1, "rollback"),
        (2, "promote"),
        (1, "promote"),
    ]
    assert all(one["actor"] for one in past)
    assert "drill" in two("model", "history", "churn").stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show", "none"), "no model named 'none'; known: churn"),
        (("history", "none"), "no model named"),
        (("compare", "churn", 1, 7), "has no version 7; known: 1, 2"),
        (("promote", "churn", 7), "has no version 7"),
        (("promote", "churn", 1), "is the champion already"),
        (("rollback", "churn"), "no earlier champion"),
        (("rollback", "churn", "--to", 2), "v2 was never the champion"),
    ],
)
def test_what_is_not_there_is_explained(two: Any, words: Any, message: str) -> None:
    assert message in two("model", *words, code=1).stderr


def test_model_as_a_process(trained_cli: Any) -> None:
    ran = trained_cli.process("model", "show", "churn", "--json")
    assert ran.returncode == 0
    assert ran.stderr == ""
