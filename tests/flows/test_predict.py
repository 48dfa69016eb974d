import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from mlkit.errors import ConflictError, InvalidInputError
from mlkit.flows import predict
from mlkit.flows.registry import deploy
from mlkit.project import Project
from mlkit.steps.inputs import encode

Churn = Callable[..., pd.DataFrame]


@pytest.fixture
def rows(tmp_path: Path, churn: Churn) -> Any:
    file = tmp_path / "rows.csv"
    churn(rows=90, seed=3).drop(columns="churned").to_csv(file, index=False)
    return file


def test_the_output_is_the_input_and_the_answers(
    trained: Project, rows: Any, tmp_path: Path
) -> None:
    done = predict.predict(trained, "churn", rows, output=tmp_path / "out.csv")
    assert (done.rows, done.version) == (90, 1)
    found, given = pd.read_csv(tmp_path / "out.csv"), pd.read_csv(rows)
    added = ["prediction", "probability_no", "probability_yes"]
    assert list(found.columns) == [*given.columns, *added]
    assert (found["prediction"] == "yes").equals(found["probability_yes"] > 0.5)
    pd.testing.assert_frame_equal(found[["age", "plan", "spend"]], given[["age", "plan", "spend"]])


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_file_and_json_rows_get_the_same_bits(
    trained: Project, rows: Any, tmp_path: Path, suffix: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "CHUNK_ROWS", 7)
    output = tmp_path / f"out{suffix}"
    predict.predict(trained, "churn", rows, output=output)
    read = pd.read_csv if suffix == ".csv" else pd.read_parquet
    from_file = read(output)["probability_yes"].to_numpy()

    loaded = deploy.load_version(trained, deploy.find_version(trained, "churn"))
    frame = pd.read_csv(rows)
    sent = json.loads(frame.to_json(orient="records"))
    for place, row in enumerate(sent):
        columns = encode.columns_of_rows(loaded.schema, [row])
        answer = loaded.predictor.predict(encode.matrix(loaded.schema, columns))
        assert answer.probabilities[0, 1].tobytes() == np.float64(from_file[place]).tobytes()


def test_infinities_are_told_of(trained: Project, rows: Any, tmp_path: Path) -> None:
    frame = pd.read_csv(rows)
    frame.loc[[3, 5], "spend"] = [np.inf, -np.inf]
    frame.to_parquet(tmp_path / "rows.parquet")
    frame.to_csv(tmp_path / "rows.csv", index=False)
    for name in ("rows.parquet", "rows.csv"):
        done = predict.predict(trained, "churn", tmp_path / name, output=tmp_path / "out.csv")
        assert done.warnings == ("infinite: 'spend' has infinite values, taken as missing",)


def test_parquet_keeps_types(trained: Project, rows: Any, tmp_path: Path) -> None:
    predict.predict(trained, "churn", rows, output=tmp_path / "out.parquet")
    schema = pq.read_schema(tmp_path / "out.parquet")
    assert str(schema.field("age").type) == "int64"
    assert str(schema.field("probability_yes").type) == "double"


def test_a_bad_row_is_named_and_leaves_no_output(
    trained: Project, tmp_path: Path, churn: Churn
) -> None:
    frame = churn(rows=50).drop(columns="churned")
    frame["age"] = frame["age"].astype(object)
    frame.loc[41, "age"] = None
    frame.to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(InvalidInputError, match="row 42, column 'age': null"):
        predict.predict(trained, "churn", tmp_path / "bad.csv", output=tmp_path / "out.csv")
    assert {file.name for file in tmp_path.iterdir()} == {"bad.csv", "trained"}


def test_an_output_that_cannot_be_is_refused_before_any_work(
    trained: Project, rows: Any, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInputError, match=r"must end in \.csv or \.parquet"):
        predict.predict(trained, "churn", rows, output=tmp_path / "out.xlsx")
    with pytest.raises(InvalidInputError, match="is the input"):
        predict.predict(trained, "churn", rows, output=rows)
    with pytest.raises(InvalidInputError, match="there is no folder"):
        predict.predict(trained, "churn", rows, output=tmp_path / "none" / "out.csv")


def test_an_answered_file_is_not_answered_again_under_the_same_names(
    trained: Project, rows: Any, tmp_path: Path
) -> None:
    predict.predict(trained, "churn", rows, output=tmp_path / "out.csv")
    with pytest.raises(ConflictError, match="has a column 'prediction' already"):
        predict.predict(trained, "churn", tmp_path / "out.csv", output=tmp_path / "again.csv")


def test_a_file_may_lack_the_columns_of_feature_views(featured: Any, tmp_path: Path) -> None:
    featured.at("2026-02-20T12:10:00+00:00")
    featured.materialize()
    few = pd.DataFrame({"origin": ["JFK", "LGA"] * 3, "km": [5.0] * 6, "rider": [3, 4] * 3})
    few.to_csv(tmp_path / "few.csv", index=False)
    done = predict.predict(
        featured.project, "trips", tmp_path / "few.csv", output=tmp_path / "out.csv"
    )
    rows = [{"origin": "JFK", "km": 5.0}, {"origin": "LGA", "km": 5.0}]
    served = featured.predict(*rows, entity_ids=[3, 4]).json["predictions"]
    found = pd.read_csv(tmp_path / "out.csv")
    assert list(found.columns) == ["origin", "km", "rider", "prediction"]
    assert (done.rows, found["prediction"].tolist()) == (6, [s["value"] for s in served] * 3)


def test_a_file_that_does_not_say_for_whom_is_refused_with_the_row(
    featured: Any, tmp_path: Path
) -> None:
    pd.DataFrame({"origin": ["JFK"], "km": [5.0]}).to_csv(tmp_path / "few.csv", index=False)
    with pytest.raises(InvalidInputError, match="row 1, column 'rides': missing; feature view"):
        predict.predict(
            featured.project, "trips", tmp_path / "few.csv", output=tmp_path / "out.csv"
        )
