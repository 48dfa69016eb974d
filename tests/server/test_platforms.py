"""What SageMaker and Vertex AI ask by environment variables is what they get."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from mlkit.errors import InvalidInputError
from mlkit.project import Project
from mlkit.server.platforms import Platform, detect

ROW = {"age": 30, "plan": "free", "spend": 12.5, "active": False}


def test_without_their_variables_nothing_is_asked() -> None:
    assert detect({"PORT": "80", "AIP_HTTP_PORT": ""}) == Platform()


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"AIP_HTTP_PORT": "http"}, "AIP_HTTP_PORT: 'http' is no port"),
        ({"SAGEMAKER_BIND_TO_PORT": "70000"}, "SAGEMAKER_BIND_TO_PORT: '70000' is no port"),
        ({"AIP_HTTP_PORT": "1", "SAGEMAKER_BIND_TO_PORT": "2"}, "name different ports"),
        ({"AIP_HEALTH_ROUTE": "health"}, "AIP_HEALTH_ROUTE: 'health' is no path"),
        ({"AIP_PREDICT_ROUTE": "/a/<model>"}, "AIP_PREDICT_ROUTE"),
        ({"AZUREML_MODEL_DIR": "/m", "WORKER_COUNT": "0"}, "WORKER_COUNT: '0' is no number of"),
    ],
)
def test_a_variable_that_makes_no_sense_is_named(environment: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        detect(environment)


def test_the_number_of_workers_is_azures_only_on_azure() -> None:
    assert detect({"WORKER_COUNT": "3"}).workers is None
    assert detect({"WORKER_COUNT": "3", "AZUREML_MODEL_DIR": "/m"}).workers == 3


def test_the_folder_that_azure_ml_mounts_is_served_with_its_number_of_workers(
    trained: Project, serve: Callable[..., Any]
) -> None:
    environment = os.environ | {"AZUREML_MODEL_DIR": str(trained.root.parent), "WORKER_COUNT": "1"}
    server = serve(None, environment=environment)
    assert server.ask("POST", "/invocations", {"dataframe_records": [ROW]}).status == 200
    assert len(list((trained.root / ".mlkit" / "metrics").glob("*/worker-*"))) == 1


def test_the_routes_of_vertex_ai_are_answered(trained: Project, serve: Callable[..., Any]) -> None:
    predict = "/v1/endpoints/7/deployedModels/8:predict"
    environment = os.environ | {
        "AIP_HEALTH_ROUTE": "/v1/endpoints/7/deployedModels/8",
        "AIP_PREDICT_ROUTE": predict,
    }
    server = serve(trained.root, "--workers", "1", environment=environment)
    health = server.ask("GET", "/v1/endpoints/7/deployedModels/8")
    assert (health.status, health.body["status"]) == (200, "ready")
    reply = server.ask("POST", predict, {"instances": [ROW, ROW]})
    assert (reply.status, len(reply.body["predictions"])) == (200, 2)
    assert server.ask("POST", predict, {"instances": [{}]}).status == 422


def test_a_container_listens_where_sagemaker_asks_if_its_network_is_trusted(
    trained: Project, trained_cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", "8080")
    refused = trained_cli("serve", code=1)
    assert "0.0.0.0 can be reached from other machines" in refused.stderr
    assert "server.trust_network" in refused.stderr


def test_a_trusted_network_needs_no_token(trained: Project, serve: Callable[..., Any]) -> None:
    environment = os.environ | {"MLKIT_SERVER_TRUST_NETWORK": "true"}
    words = ("--workers", "1", "--host", "0.0.0.0")  # noqa: S104  # what is tested
    server = serve(trained.root, *words, environment=environment)
    assert server.ask("GET", "/ping").status == 200
    assert server.ask("POST", "/invocations", {"dataframe_records": [ROW]}).status == 200
