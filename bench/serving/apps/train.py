"""Train models by mlkit's command line, write what the peers need; run in its environment."""

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from frames import Encoded
from sklearn.datasets import make_classification

from mlkit.demo import flights
from mlkit.flows.registry import deploy
from mlkit.project import open_project
from mlkit.steps.inputs import encode

APPS = Path(__file__).resolve().parent
SAMPLE = 1_000
ROWS = {"logistic": 50_000, "forest": 20_000, "boosting": 50_000}


def main(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
        project = folder / name / "project"
        if not project.exists():
            _mlkit("init", project)
            shutil.copy(APPS / "bench_models.py", project)
        frame = _flights() if name == "mixed" else _numbers(ROWS[name])
        file = folder / f"{name}.csv"
        frame.to_csv(file, index=False)
        _mlkit("--project", project, "data", "add", name, file, "--target", "y")
        estimator = f"bench_models:{name}"
        words = ("train", name, "--data", name, "--estimator", estimator, "--promote")
        _mlkit("--project", project, *words)
        _export(project, name, folder / name, frame)


def _mlkit(*words: object) -> None:
    program = Path(sys.executable).with_name("mlkit")
    subprocess.run([program, *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def _numbers(rows: int) -> pd.DataFrame:
    values, target = make_classification(rows, 20, n_informative=10, random_state=0)
    frame = pd.DataFrame(values, columns=[f"x{i}" for i in range(20)])
    return frame.assign(y=np.where(target, "yes", "no"))


def _flights() -> pd.DataFrame:
    """Return January's flights: airports and carriers as text, weather with gaps."""
    table = flights.of_month(flights.read(flights.folder()), 1).to_pandas()
    pace = table["air_time"] / table["distance"]
    table["y"] = np.where(pace > pace.median(), "slow", "fast")
    return table.drop(columns=["scheduled", "air_time"])


def _export(root: Path, name: str, target: Path, frame: pd.DataFrame) -> None:
    project = open_project(root, environment={})
    version = deploy.find_version(project, name)
    content = joblib.load(io.BytesIO(project.artifacts.read(version.artifact_sha256)))
    schema = deploy.input_schema(version)
    rows = _sample(frame[list(schema.names)])
    columns = [[row[i] for row in rows] for i in range(len(schema.names))]
    model = joblib.load(io.BytesIO(content["estimator"]))  # bytes of their own, behind its code
    expected = model.predict_proba(encode.matrix(schema, columns))
    if name == "mixed":
        categories = {c.name: c.categories for c in schema.columns if c.kind == "category"}
        model = Encoded(model, schema.names, categories)
    joblib.dump(model, target / "model.joblib")
    sample = {"columns": list(schema.names), "rows": rows, "expected": expected.tolist()}
    (target / "sample.json").write_text(json.dumps(sample))
    project.close()


def _sample(frame: pd.DataFrame) -> list[list[Any]]:
    part = frame.sample(SAMPLE, random_state=1).astype(object)
    rows: list[list[Any]] = part.where(part.notna(), None).to_numpy().tolist()
    return rows


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
