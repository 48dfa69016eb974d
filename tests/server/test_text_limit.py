"""No text longer than the setting is answered or logged, however it comes."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlkit.errors import InvalidInputError
from mlkit.flows import predict
from mlkit.flows.log import actual_file, imports, logs
from mlkit.project import Project, open_project
from mlkit.server.app import SERVICE, create_app

ROW = {"age": 30, "plan": "free", "spend": 12.5, "active": False}
MOST = 40
LONG = "é" * (MOST + 1)


@pytest.fixture
def limited(trained: Project) -> Iterator[tuple[Project, Any]]:
    """A project that takes texts of 40 characters, and a client of its server."""
    (trained.root / "mlkit.toml").write_text(f"[server]\nmax_text_chars = {MOST}\n")
    project = open_project(trained.root, environment={})
    app = create_app(project)
    yield project, app.test_client()
    app.extensions[SERVICE].stop()
    project.close()


def _post(client: Any, path: str, body: Any, kind: str = "application/json") -> Any:
    sent = body if isinstance(body, str) else json.dumps(body)
    return client.post(path, data=sent, content_type=kind, headers={"Host": "localhost"})


def _csv(row: dict[str, Any]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([list(row), list(row.values())])
    return text.getvalue()


def _tensors(row: dict[str, Any]) -> dict[str, Any]:
    types = {"age": "INT64", "plan": "BYTES", "spend": "FP64", "active": "BOOL"}
    inputs = [
        {"name": name, "shape": [1], "datatype": types[name], "data": [value]}
        for name, value in row.items()
    ]
    return {"inputs": inputs}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/predict/churn", lambda row: {"rows": [row]}, 422),
        ("/invocations", lambda row: {"dataframe_records": [row]}, 400),
        ("/invocations", lambda row: {"inputs": {k: [v] for k, v in row.items()}}, 400),
        ("/v1/models/churn:predict", lambda row: {"instances": [row]}, 422),
        ("/v2/models/churn/infer", _tensors, 422),
        ("/invocations", _csv, 400),
    ],
)
def test_a_long_text_is_refused_with_its_row_and_column(
    limited: tuple[Project, Any], path: str, body: Any, status: int
) -> None:
    _, client = limited
    kind = "text/csv" if body is _csv else "application/json"
    assert _post(client, path, body({**ROW, "plan": LONG[1:]}), kind).status_code == 200
    reply = _post(client, path, body({**ROW, "plan": LONG}), kind)
    assert reply.status_code == status
    assert reply.get_json()["problems"] == [
        {
            "row": 0,
            "column": "plan",
            "problem": "a text of 41 characters is longer than 40 (server.max_text_chars)",
        }
    ]


def test_a_long_entity_id_is_refused_with_its_row(limited: tuple[Project, Any]) -> None:
    _, client = limited
    body = {"rows": [ROW, ROW], "entity_ids": [7, LONG]}
    reply = _post(client, "/predict/churn", body)
    assert reply.status_code == 422
    assert reply.get_json()["problems"][0]["row"] == 1
    assert _post(client, "/predict/churn", {**body, "entity_ids": [7, "x"]}).status_code == 200


def test_a_long_actual_is_refused_over_http_and_in_a_file(
    limited: tuple[Project, Any], tmp_path: Path
) -> None:
    project, client = limited
    reply = _post(client, "/predict/churn", {"rows": [ROW]}).get_json()
    item = {"prediction_id": reply["predictions"][0]["id"], "actual": LONG}
    refused = _post(client, "/actuals", {"items": [item]})
    assert refused.status_code == 422
    assert refused.get_json()["problems"][0]["column"] == "actual"
    file = tmp_path / "actuals.csv"
    file.write_text(_csv(item), "utf-8")
    with pytest.raises(InvalidInputError, match="41 characters is longer than 40"):
        actual_file.add(project, file)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_long_text_in_a_file_of_rows_is_refused_with_its_row(
    limited: tuple[Project, Any], tmp_path: Path, ending: str
) -> None:
    project, _ = limited
    frame = pd.DataFrame([ROW, {**ROW, "plan": LONG}])
    file = tmp_path / f"rows.{ending}"
    if ending == "csv":
        frame.to_csv(file, index=False)
    else:
        frame.to_parquet(file)
    with pytest.raises(InvalidInputError, match="row 2, column 'plan': a text of 41 characters"):
        predict.predict(project, "churn", file, output=tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_what_was_refused_is_not_in_the_log(limited: tuple[Project, Any]) -> None:
    project, client = limited
    _post(client, "/predict/churn", {"rows": [{**ROW, "plan": LONG}]})
    client.application.extensions[SERVICE].recorder.stop()
    imports.collect(project)
    assert logs.read(project, "churn").num_rows == 0
