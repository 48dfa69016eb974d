"""An entity that is text here and a whole number there is found, digit by digit."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlkit.errors import CheckFailedError, InvalidInputError
from mlkit.flows import predict
from mlkit.flows.data import ingest
from mlkit.flows.data.file_source import FileSource
from mlkit.flows.erasure import subject
from mlkit.flows.features import catalog, joining, materialize
from mlkit.flows.features.joining import Recipe
from mlkit.flows.lineage import rebuild
from mlkit.flows.training import train
from mlkit.project import Project, open_project
from mlkit.provenance import Stated
from mlkit.server.app import create_app
from mlkit.store import datasets

FEATURES = """
from mlkit.features import feature_view

@feature_view(source="visits", entity="who", time="at")
def pages(visits):
    return visits[["who", "at", "pages"]]
"""


def _add(project: Project, name: str, frame: pd.DataFrame, kind: str, **roles: str) -> None:
    file = project.root / f"{name}.{kind}"
    frame.to_csv(file, index=False) if kind == "csv" else frame.to_parquet(file)
    ingest.add(project, name, file, entity="who", **roles)


def _joined(project: Project, base: str, view: str) -> Project:
    """Join people with the pages that they read, with integers in Parquet and texts in CSV."""
    rng = np.random.default_rng(0)
    who = np.arange(200) % 20
    times = pd.date_range("2026-01-01", periods=200, freq="h", tz="UTC")
    visits = pd.DataFrame({"who": who, "at": times, "pages": who * 3.0})
    people = pd.DataFrame({"who": who, "since": times + pd.Timedelta("1min")})
    people["x"] = rng.normal(size=200)
    people["y"] = who * 3.0 + people["x"]
    _add(project, "visits", visits, view, time="at")
    _add(project, "people", people, base, time="since", target="y")
    (project.root / "features.py").write_text(FEATURES)
    project.close()
    project = open_project(project.root, environment={})
    joining.join(project, "joined", Recipe("people", ("pages",), ()))
    train.train(project, "m", "joined", estimator="linear", promote=True)
    materialize.materialize(project, ())
    return project


@pytest.mark.parametrize(("base", "view"), [("csv", "parquet"), ("parquet", "csv"), ("csv", "csv")])
def test_training_and_serving_find_the_same_entity(project: Project, base: str, view: str) -> None:
    project = _joined(project, base, view)
    with project.read() as s:
        version = datasets.get_version(s, "joined")
    assert ingest.load_version(project, version)["pages"].null_count == 0
    client = create_app(project).test_client()

    def ask(**body: Any) -> float:
        answer = client.post("/predict/m", json=body)
        assert answer.status_code == 200, answer.json
        value: float = answer.json["predictions"][0]["value"]
        return value

    looked_up = ask(rows=[{"x": 0.0}], entity_ids=[7])
    assert looked_up == ask(rows=[{"x": 0.0, "pages": 21.0}])
    if view == "csv":
        assert looked_up == ask(rows=[{"x": 0.0}], entity_ids=["7"])
        assert looked_up != ask(rows=[{"x": 0.0}], entity_ids=["007"])


def test_an_entity_with_a_zero_before_it_is_nobody_else(project: Project) -> None:
    project = _joined(project, "parquet", "parquet")
    file = project.root / "new.csv"
    file.write_text("who,x\n7,0\n007,0\n")
    with pytest.raises(InvalidInputError, match=r"row 2, column 'who': '007' is written as ids"):
        predict.predict(project, "m", file, output=project.root / "out.csv")
    with pytest.raises(InvalidInputError, match="is an integer, not '007'"):
        catalog.get(project, "pages", ["007"])
    erased = subject.erase(project, "visits", ["007"])
    assert (erased.versions, erased.predictions) == ((), 0)


def test_a_version_that_an_older_release_read_otherwise_says_so(
    project: Project, tmp_path: Path
) -> None:
    file = tmp_path / "r.csv"
    file.write_text("region,x\nNA,1\nEU,2\nEU,3\n")
    ingest.add(project, "r", FileSource(file, Stated(missing=("NA",))))
    with project.write() as s:
        version = datasets.get_version(s, "r")
        read_as = {k: v for k, v in version.transformation["read_as"].items() if k != "missing"}
        version.transformation = {"kind": "file", "stated": {}, "read_as": read_as}
    with pytest.raises(CheckFailedError, match="an older release, which took NA for missing"):
        rebuild.rebuild(project, "r")
