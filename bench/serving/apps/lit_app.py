"""LitServe: ``python lit_app.py PORT WORKERS BATCH``."""

import os
import sys
from typing import Any

import joblib
import litserve
import numpy as np
import pandas as pd


class Api(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    def decode_request(self, request: dict[str, Any]) -> Any:
        rows = request["rows"]
        return pd.DataFrame(rows) if isinstance(rows[0], dict) else np.array(rows)

    def batch(self, inputs: list[Any]) -> Any:
        self.sizes = [len(rows) for rows in inputs]
        return np.concatenate(inputs)

    def predict(self, x: Any) -> Any:
        return self.model.predict_proba(x)

    def unbatch(self, output: Any) -> list[Any]:
        return np.split(output, np.cumsum(self.sizes)[:-1])

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"probabilities": np.asarray(output).tolist()}


if __name__ == "__main__":
    port, workers, batch = (int(word) for word in sys.argv[1:])
    batching = {"max_batch_size": 64, "batch_timeout": 0.002} if batch else {}
    server = litserve.LitServer(Api(**batching), accelerator="cpu", workers_per_device=workers)
    server.run(port=port, host="127.0.0.1", generate_client_file=False, log_level="warning")
