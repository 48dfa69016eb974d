"""Where things come from, and what was made of them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from mlkit.errors import NotFoundError
from mlkit.flows.lineage import ask
from mlkit.flows.log import logs, retention
from mlkit.flows.training import retrain
from mlkit.project import Project
from mlkit.store import datasets
from mlkit.store.datasets import Dataset, DatasetVersion


@pytest.fixture
def looped(trained: Project, churn: Callable[..., pd.DataFrame], answer: Any) -> Project:
    """v1 was trained on a file, answered 200 rows, and v2 learned from these."""
    answer(trained, churn(rows=200, seed=1), age=timedelta(hours=30))
    retrain.retrain(trained, "churn")
    return trained


def _labels(found: ask.Lineage, way: tuple[str, ...]) -> list[str]:
    names = {node.id: node.label for node in found.nodes}
    return [names[identifier] for identifier in way]


def _edges(found: ask.Lineage) -> set[tuple[str, str, str]]:
    return {(edge.source, edge.target, edge.how) for edge in found.edges}


def test_a_retrained_model_leads_back_through_the_log_to_the_first_file(looped: Project) -> None:
    found = ask.trace(looped, "churn@2")
    assert found.of == "model:churn@2"
    labels = _labels(found, found.up)
    assert labels[0] == "churn@2"
    assert "predictions of churn v1" in labels
    assert any(label.startswith("champion of churn since") for label in labels)
    assert any(label.endswith("churn.csv") for label in labels)
    edges = _edges(found)
    assert ("dataset:churn@2", "model:churn@2", "trained on") in edges
    assert ("predictions:churn@1", "log:churn@2", "logged") in edges
    assert ("log:churn@2", "dataset:churn@2", "rows with ripe actuals") in edges
    assert ("dataset:churn@1", "model:churn@1", "trained on") in edges


def test_a_dataset_leads_to_its_models_their_answers_and_what_learned_from_them(
    looped: Project,
) -> None:
    found = ask.trace(looped, "dataset:churn@1")
    assert {"model:churn@1", "predictions:churn@1", "dataset:churn@2", "model:churn@2"} <= set(
        found.down
    )
    answers = next(node for node in found.nodes if node.id == "predictions:churn@1")
    assert answers.details["rows"] == 200
    (edge,) = [e for e in found.edges if e.target == "model:churn@1"]
    assert edge.columns == ("age", "plan", "spend", "active", "churned")


@pytest.mark.parametrize("sealed", [False, True])
def test_a_prediction_leads_to_its_model_and_to_what_learned_from_it(
    looped: Project, sealed: bool
) -> None:
    row = logs.read(looped, "churn").to_pylist()[5]
    if sealed:
        retention.seal(looped, older_than="1h")
    found = ask.trace(looped, row["_id"])
    node = next(node for node in found.nodes if node.id == found.of)
    assert node.details["value"] == row["_value"]
    assert {"model:churn@1", "dataset:churn@1"} <= set(found.up)
    assert {"dataset:churn@2", "model:churn@2"} <= set(found.down)
    answers = [n.details["rows"] for n in found.nodes if n.id == "predictions:churn@1"]
    assert answers in ([], [200])


def test_a_prediction_that_nothing_learned_from_leads_nowhere(
    trained: Project, churn: Callable[..., pd.DataFrame], answer: Any
) -> None:
    answer(trained, churn(rows=1, seed=1))
    (row,) = logs.read(trained, "churn").to_pylist()
    found = ask.trace(trained, row["_id"])
    assert found.down == ()
    assert found.up[-1].startswith("source:")


def test_a_bare_name_means_the_champion_or_the_newest_version(looped: Project) -> None:
    found = ask.trace(looped, "churn")
    assert found.of == "model:churn@1"
    assert "dataset:churn" in found.note
    assert ask.trace(looped, "dataset:churn").of == "dataset:churn@2"


def test_a_version_that_only_the_dataset_has_means_the_dataset(looped: Project) -> None:
    now = looped.now()
    with looped.write() as s:
        dataset = datasets.get(s, "churn")
        s.add(_made(dataset, 3, now, {"kind": "file"}))
    assert ask.trace(looped, "churn@3").of == "dataset:churn@3"


def test_a_joined_dataset_names_its_views_and_their_columns(looped: Project) -> None:
    now = looped.now()
    with looped.write() as s:
        weather = Dataset(name="weather", created_at=now)
        s.add(weather)
        s.flush()
        s.add(_made(weather, 1, now, {"kind": "file"}))
        joined = {
            "kind": "join",
            "base": "churn@1",
            "views": [
                {
                    "name": "sky", "version": 2, "dataset": "weather@1",
                    "columns": ["wind", "rain"], "types": ["number", "number"],
                    "entity": "station", "key": "text",
                }
            ],
        }  # fmt: skip
        s.add(_made(datasets.get(s, "churn"), 3, now, joined, parents=["churn@1"]))
    found = ask.trace(looped, "churn@3")
    joins = {(e.source, e.target): e.columns for e in found.edges}
    assert joins[("view:sky@2:weather@1", "dataset:churn@3")] == ("wind", "rain")
    assert ("dataset:weather@1", "view:sky@2:weather@1") in joins
    assert ("dataset:churn@1", "dataset:churn@3") in joins
    assert ("dataset:weather@1", "dataset:churn@3") not in joins
    assert "view:sky@2:weather@1" in ask.trace(looped, "weather").down


def test_a_join_leads_back_to_its_functions_and_to_the_databases_of_its_views(
    looped: Project,
) -> None:
    joined = {
        "kind": "join",
        "base": "churn@1",
        "views": [
            {
                "name": "crm", "version": 1, "dataset": None, "columns": ["calls"],
                "types": ["integer"], "entity": "customer", "key": "text",
            }
        ],
        "on_demand": [
            {
                "name": "rate", "version": 3, "inputs": ["age", "calls"], "columns": ["per_year"],
                "digest": "0",
            }
        ],
    }  # fmt: skip
    with looped.write() as s:
        made = _made(datasets.get(s, "churn"), 3, looped.now(), joined, parents=["churn@1"])
        s.add(made)
    found = ask.trace(looped, "churn@3")
    edges = {(e.source, e.target): (e.how, e.columns) for e in found.edges}
    assert edges[("function:rate@3", "dataset:churn@3")] == ("computed", ("per_year",))
    assert edges[("dataset:churn@1", "function:rate@3")] == ("inputs", ("age",))
    assert edges[("view:crm@1", "function:rate@3")] == ("inputs", ("calls",))
    assert ("source:database of view crm", "view:crm@1") in edges


def _made(
    dataset: Dataset, number: int, now: Any, made: dict[str, Any], parents: Any = ()
) -> DatasetVersion:
    return DatasetVersion(
        dataset=dataset, number=number, sha256=f"{number}" * 64, rows=1, schema_yaml="",
        profile={"columns": []}, source=f"{dataset.name}.csv", parents=list(parents),
        transformation=made, warnings=[], created_at=now,
    )  # fmt: skip


def test_what_is_not_there_says_where_to_look(looped: Project) -> None:
    with pytest.raises(NotFoundError, match="no model, dataset or prediction named 'nothing'"):
        ask.trace(looped, "nothing")
    with pytest.raises(NotFoundError, match="no prediction 0198"):
        ask.trace(looped, "01980000-0000-7000-8000-000000000000")
    with pytest.raises(NotFoundError, match="no version 9"):
        ask.trace(looped, "model:churn@9")
