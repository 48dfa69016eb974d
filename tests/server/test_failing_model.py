"""A model whose own code fails whatever it is asked is at fault itself: 500 that names it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

OWN = '''
import sys
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

class Moody(RegressorMixin, BaseEstimator):
    """Does what the file beside it says."""

    def fit(self, X, y):
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X):
        mood = Path(MOOD_FILE).read_text()
        if mood == "raise":
            raise ValueError("cannot read /home/me/secret")
        if mood == "exit":
            sys.exit(3)
        if mood == "interrupt":
            raise KeyboardInterrupt
        if mood == "shout":
            raise ValueError("v" * 3_000_000)
        if mood == "shape":
            return np.zeros((len(X), 3))
        if mood == "silent":
            return X[:, 0] * np.nan
        return X[:, 0]

def moody(schema):
    return Moody()
'''
ROWS = [{"x": 1.0}, {"x": 2.0}]
BODIES: dict[str, Any] = {
    "/predict/m": {"rows": ROWS},
    "/models/m/invocations": {"dataframe_records": ROWS},
    "/v1/models/m:predict": {"instances": ROWS},
    "/v2/models/m/infer": {
        "inputs": [{"name": "x", "shape": [2], "datatype": "FP64", "data": [1.0, 2.0]}]
    },
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mlkit.flows.data import ingest
    from mlkit.flows.registry import deploy
    from mlkit.flows.training import train
    from mlkit.project import create_project

    root = tmp_path_factory.mktemp("moody")
    (root / "mlkit.toml").touch()
    (root / "mood").write_text("good")
    (root / "own.py").write_text(OWN.replace("MOOD_FILE", repr(str(root / "mood"))))
    frame = pd.DataFrame({"x": [float(x % 7) for x in range(200)]})
    frame.assign(y=frame["x"]).to_csv(root / "d.csv", index=False)
    made = create_project(root, environment={})
    ingest.add(made, "d", root / "d.csv", target="y")
    train.train(made, "m", "d", estimator="own:moody")
    deploy.promote(made, "m", 1, force=True)
    frame.assign(y=frame["x"] + frame.index / 1000).to_csv(root / "numbers.csv", index=False)
    ingest.add(made, "numbers", root / "numbers.csv", target="y")
    train.train(made, "silent", "numbers", estimator="own:moody")
    deploy.promote(made, "silent", 1, force=True)
    train.train(made, "sound", "d")
    deploy.promote(made, "sound", 1, force=True)
    made.close()
    return root


@pytest.fixture
def moody(root: Path, start: Callable[..., Any]) -> Iterator[Any]:
    (root / "mood").write_text("good")
    server = start(root, "--workers", "1")
    yield server
    server.stop()


@pytest.mark.parametrize("mood", ["raise", "exit", "interrupt", "shout", "shape"])
def test_every_protocol_says_whose_fault_it_is_and_no_more(
    moody: Any, root: Path, mood: str
) -> None:
    (root / "mood").write_text(mood)
    for path, body in BODIES.items():
        reply = moody.ask("POST", path, body)
        text = json.dumps(reply.body)
        assert reply.status == 500, (path, text)
        assert "v1 of m fails, whatever the rows are" in text
        assert "secret" not in text
    assert moody.ask("POST", "/predict/sound", BODIES["/predict/m"]).status == 200
    assert len(moody.ask("GET", "/readyz").body["problems"]["m"]) < 2_000
    metrics = moody.ask("GET", "/metrics").body.decode()
    assert 'mlkit_invalid_requests_total{model="m"}' not in metrics
    code, said = moody.stop()
    assert code == 0
    assert len(said) < 100_000
    assert said.count("v1 of m fails") == 1, said  # with its traceback, once
    assert "failed 500 POST /predict/<model> model=m" in said


def test_readiness_tells_of_it_until_the_model_answers_again(moody: Any, root: Path) -> None:
    (root / "mood").write_text("raise")
    moody.ask("POST", "/predict/m", BODIES["/predict/m"])
    found = moody.ask("GET", "/readyz")
    assert (found.status, found.body["status"]) == (200, "degraded")
    assert "v1 of m fails" in found.body["problems"]["m"]
    (root / "mood").write_text("good")
    assert moody.ask("POST", "/predict/m", BODIES["/predict/m"]).status == 200
    assert moody.ask("GET", "/readyz").body["status"] == "ready"


def test_readiness_tells_of_a_model_that_has_no_answer_to_any_row(moody: Any, root: Path) -> None:
    """Its rows are 422 as single ones are; it is asked on, or it could not answer again."""
    (root / "mood").write_text("silent")
    reply = moody.ask("POST", "/predict/silent", {"rows": ROWS})
    assert (reply.status, len(reply.body["problems"])) == (422, 2)
    found = moody.ask("GET", "/readyz")
    assert (found.status, found.body["status"]) == (200, "degraded")
    assert "v1 of silent has no finite answer" in found.body["problems"]["silent"]
    (root / "mood").write_text("good")
    assert moody.ask("POST", "/predict/silent", {"rows": ROWS}).status == 200
    assert moody.ask("GET", "/readyz").body["status"] == "ready"
    assert moody.ask("POST", "/predict/silent", {"rows": [{"x": 1e39}]}).status == 422
    assert moody.ask("GET", "/readyz").body["status"] == "ready"
