"""``mlkit lineage`` as a person and as a script reads it."""

from typing import Any


def test_a_tree_for_a_person(trained_cli: Any) -> None:
    done = trained_cli("lineage", "churn")
    up, _, down = done.stdout.partition("led to\n")
    assert up.splitlines()[:3] == [
        "comes from",
        "churn v1",
        "└── churn@1 (400 rows)  [trained on: age, plan, spend, active, churned]",
    ]
    assert "churn.csv  [file]" in up
    assert "champion of churn since" in down
    assert "predictions of churn v1 (0 rows)" in down
    assert "note: 'churn' is also a dataset" in done.stderr


def test_nodes_and_edges_for_a_script(trained_cli: Any) -> None:
    found = trained_cli.json("lineage", "dataset:churn@1")
    ids = {node["id"] for node in found["nodes"]}
    assert {edge[end] for edge in found["edges"] for end in ("from", "to")} <= ids
    assert found["of"] == "dataset:churn@1"
    assert "no model, dataset" in trained_cli.json("lineage", "x", code=1)["error"]
