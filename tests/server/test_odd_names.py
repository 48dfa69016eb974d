"""A version that the gate accepts can be served, whatever its columns are called."""

import csv
import io
import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlkit.flows import predict
from mlkit.flows.data import ingest
from mlkit.flows.log import imports
from mlkit.flows.registry import deploy
from mlkit.flows.training import train
from mlkit.project import Project, create_project, open_project
from mlkit.server.app import SERVICE, create_app

NAMES = (
    '"size 5"""', "path\\len", "\\", '"', '\\"', "class", "self", "c1", "__class__", "rows",
    "value", "Value", "value_feature", "a:b", "\\:x", "a,b", "100%", "%s", "${HOME}", "it's",
    "[x]<y>",
    "?", ":bind", "😀", "é", "e\u0301", "A", "a", "None", "true", "1", "id", "x" * 3_000, " blank ",
)  # fmt: skip
ROWS = 120


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Any]]:
    """A model with every one of the names, promoted, and a client of its server."""
    root = tmp_path_factory.mktemp("odd")
    (root / "mlkit.toml").touch()
    project = create_project(root, environment={})
    random = np.random.default_rng(0)
    columns: dict[str, Any] = {
        name: random.normal(size=ROWS) if place % 2 else random.choice(["u", "v"], ROWS)
        for place, name in enumerate(NAMES)
    }
    columns["y"] = columns["path\\len"] + random.normal(size=ROWS) / 10
    pq.write_table(pa.table(columns), root / "odd.parquet")
    ingest.add(project, "odd", root / "odd.parquet", target="y")
    made = train.train(project, "odd", "odd", estimator="linear", promote=True)
    assert made.promoted
    app = create_app(project)
    yield project, app.test_client()
    app.extensions[SERVICE].stop()
    project.close()


def _rows(project: Project) -> list[dict[str, Any]]:
    table = pq.read_table(project.root / "odd.parquet").drop(["y"]).slice(0, 2)
    return list(table.to_pylist())


def _post(client: Any, path: str, body: Any, kind: str = "application/json") -> Any:
    sent = body if isinstance(body, str) else json.dumps(body)
    reply = client.post(path, data=sent, content_type=kind, headers={"Host": "localhost"})
    assert reply.status_code == 200, reply.get_data()
    return reply.get_json()


def _as_csv(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([list(rows[0]), *(row.values() for row in rows)])
    return text.getvalue()


def test_every_protocol_answers_a_model_with_odd_names(odd: tuple[Project, Any]) -> None:
    project, client = odd
    rows = _rows(project)
    expected = [
        row["value"] for row in _post(client, "/predict/odd", {"rows": rows})["predictions"]
    ]
    columns = {name: [row[name] for row in rows] for name in NAMES}
    for body in (
        {"dataframe_records": rows},
        {"dataframe_split": {"columns": list(NAMES), "data": [[*row.values()] for row in rows]}},
        {"inputs": columns},
    ):
        assert _post(client, "/invocations", body)["predictions"] == expected
    assert _post(client, "/invocations", _as_csv(rows), "text/csv")["predictions"] == expected
    body = {"instances": rows}
    assert _post(client, "/v1/models/odd:predict", body)["predictions"] == expected
    tensors = [
        {
            "name": name,
            "shape": [2],
            "datatype": "BYTES" if isinstance(values[0], str) else "FP64",
            "data": values,
        }
        for name, values in columns.items()
    ]
    answer = _post(
        client, "/v2/models/odd/infer", {"inputs": tensors, "outputs": [{"name": "value"}]}
    )
    assert answer["outputs"][0]["data"] == expected


def test_odd_names_are_described_listed_and_predicted_from_files(
    odd: tuple[Project, Any], tmp_path: Path
) -> None:
    project, client = odd
    described = client.get("/openapi.json", headers={"Host": "localhost"}).get_json()
    row = described["components"]["schemas"]["odd.Row"]
    assert list(row["properties"]) == row["required"] == list(NAMES)
    file = project.root / "odd.parquet"
    found = predict.predict(project, "odd", file, output=tmp_path / "out.parquet")
    assert found.rows == ROWS


def test_each_odd_name_is_a_column_of_its_own_in_the_view(odd: tuple[Project, Any]) -> None:
    project, client = odd
    row = _rows(project)[0]
    _post(client, "/predict/odd", {"rows": [row]})
    client.application.extensions[SERVICE].recorder.stop()
    imports.collect(project)
    with sqlite3.connect(project.root / "ml.sqlite") as connection:
        cursor = connection.execute("SELECT * FROM log_odd ORDER BY seq DESC LIMIT 1")
        names = [column[0] for column in cursor.description]
        logged = dict(zip(names, cursor.fetchone(), strict=True))
    assert len({name.lower() for name in names}) == len(names)
    own = names[names.index("observed_at") + 1 :]
    assert [logged[name] for name in own] == list(row.values())


def test_a_version_that_could_not_be_asked_is_refused_by_the_gate(trained: Project) -> None:
    file = trained.root / "churn.csv"
    long = file.read_text().replace("free", "f" * 20)
    file.write_text(long)
    ingest.add(trained, "long", file, target="churned", time="since")
    settings = trained.root / "mlkit.toml"
    settings.write_text("[server]\nmax_text_chars = 10\n")
    trained.close()
    project = open_project(trained.root, environment={})
    made = train.train(project, "long", "long", estimator="linear", promote=True)
    assert not made.promoted
    assert "would be refused" in made.verdict.reason
    assert (
        "a text of 20 characters is longer than 10 (server.max_text_chars)" in made.verdict.reason
    )
    assert deploy.champions(project)[0].model.name == "churn"
    project.close()
