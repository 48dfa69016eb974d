"""What a hand-written service does with a table of strings and gaps before it asks the model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd


class Encoded:
    """Codes for categories, NaN for what is missing or unknown, then the estimator."""

    def __init__(
        self, estimator: Any, columns: Sequence[str], categories: Mapping[str, Sequence[str]]
    ) -> None:
        self.estimator = estimator
        self.columns = list(columns)
        self.codes = {
            name: {value: code for code, value in enumerate(values)}
            for name, values in categories.items()
        }
        self.classes_ = estimator.classes_

    def matrix(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the numbers that the estimator was trained on."""
        columns = [
            frame[name].map(self.codes[name]) if name in self.codes else frame[name]
            for name in self.columns
        ]
        return np.column_stack([np.asarray(column, dtype=float) for column in columns])

    def fit(self, *_: Any) -> "Encoded":
        return self

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        return np.asarray(self.estimator.predict(self.matrix(frame)))

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        return np.asarray(self.estimator.predict_proba(self.matrix(frame)))
