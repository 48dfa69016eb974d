"""The service that one writes by hand: a checked body, predict_proba, JSON."""

import os
from typing import Any

import joblib
import numpy as np
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = joblib.load(os.environ["MODEL"])


class Numbers(BaseModel):
    rows: list[list[float]]


class Records(BaseModel):
    rows: list[dict[str, Any]]


@app.post("/predict")
def predict(body: Numbers) -> dict[str, Any]:
    return {"probabilities": model.predict_proba(np.array(body.rows)).tolist()}


@app.post("/records")
def records(body: Records) -> dict[str, Any]:
    return {"probabilities": model.predict_proba(pd.DataFrame(body.rows)).tolist()}
