"""BentoML services: one request at a time, or batched."""

import os
from typing import Any

import bentoml
import joblib
import numpy as np
import pandas as pd

WORKERS = int(os.environ.get("WORKERS", "1"))


@bentoml.service(workers=WORKERS, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Single:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self.model.predict_proba(rows))

    @bentoml.api
    def records(self, rows: list[dict[str, Any]]) -> np.ndarray:
        return np.asarray(self.model.predict_proba(pd.DataFrame(rows)))


@bentoml.service(workers=WORKERS, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Batched:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api(batchable=True, max_batch_size=2000, max_latency_ms=60000)
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self.model.predict_proba(rows))
