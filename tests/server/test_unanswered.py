"""A row without a finite answer is 422 in every protocol, names its row, and is never on record."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

DBL_MAX = float(np.finfo(float).max)
OWN = '''
import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import RandomForestRegressor

class Odd(RegressorMixin, BaseEstimator):
    """An answer that overflows, one that is none, or no answer but an exception."""

    def fit(self, X, y):
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X):
        if (X[:, 0] > 1e30).any():
            raise ValueError("a value too large for dtype('float32')")
        with np.errstate(all="ignore"):
            return np.where(X[:, 0] < 0, np.log(X[:, 0]), np.expm1(X[:, 0]))

def odd(schema):
    return Odd()
'''


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, start: Callable[..., Any]) -> Iterator[Any]:
    from mlkit.flows.data import ingest
    from mlkit.flows.registry import deploy
    from mlkit.flows.training import train
    from mlkit.project import create_project

    root = tmp_path_factory.mktemp("odd")
    (root / "mlkit.toml").touch()
    (root / "odd_estimator.py").write_text(OWN)
    x = np.random.default_rng(0).uniform(0, 3, size=200)
    pd.DataFrame({"x": x, "y": np.expm1(x)}).to_csv(root / "d.csv", index=False)
    made = create_project(root, environment={})
    ingest.add(made, "d", root / "d.csv", target="y")
    train.train(made, "m", "d", estimator="odd_estimator:odd")
    deploy.promote(made, "m", 1, force=True)
    made.close()
    server = start(root, "--workers", "1")
    yield server
    code, said = server.stop()
    assert code == 0, said
    assert "Traceback" not in said


def _bodies(value: float) -> dict[str, Any]:
    rows = [{"x": 1.0}, {"x": value}]
    tensor = {"name": "x", "shape": [2], "datatype": "FP64", "data": [1.0, value]}
    return {
        "/predict/m": {"rows": rows},
        "/invocations": {"dataframe_records": rows},
        "/models/m/invocations": {"instances": rows},
        "/v1/models/m:predict": {"instances": rows},
        "/v2/models/m/infer": {"inputs": [tensor]},
    }


@pytest.mark.parametrize("value", [800.0, -1.0, 1e31, DBL_MAX, -DBL_MAX, 1e39])
@pytest.mark.parametrize("path", list(_bodies(0.0)))
def test_every_protocol_refuses_and_names_the_row(odd: Any, path: str, value: float) -> None:
    reply = odd.ask("POST", path, _bodies(value)[path])
    assert reply.status == (400 if "invocations" in path else 422), reply.body
    assert "row 1, column 'x'" in json.dumps(reply.body)


@pytest.mark.parametrize("path", list(_bodies(0.0)))
@pytest.mark.parametrize("value", [2.0, 5e-324, 200.0])
def test_rows_that_have_an_answer_get_it(odd: Any, path: str, value: float) -> None:
    assert odd.ask("POST", path, _bodies(value)[path]).status == 200


def test_csv_is_no_other_way(odd: Any) -> None:
    for value in (800.0, DBL_MAX):
        body = f"x\n1.0\n{value!r}\n".encode()
        assert odd.ask("POST", "/invocations", body, kind="text/csv").status == 400


def test_a_refused_row_is_not_on_record_and_its_id_is_free(odd: Any, tmp_path: Path) -> None:
    body = {"rows": [{"x": 800.0}], "request_id": "again"}
    assert odd.ask("POST", "/predict/m", body).status == 422
    reply = odd.ask("POST", "/predict/m", {**body, "rows": [{"x": 1.0}]})
    assert reply.status == 200
    items = [{"prediction_id": reply.body["predictions"][0]["id"], "actual": DBL_MAX}]
    assert odd.ask("POST", "/actuals", {"items": items}).status == 422
