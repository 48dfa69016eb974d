"""Estimate every window of every file by one tool: ``measure.py TOOL FOLDER``.

Run in the tool's own environment. Prints a line of JSON for each window and metric.
"""

import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

CONFIDENCE = 0.95


class Guess(NamedTuple):
    """An estimated metric, with the interval and the way if the tool tells."""

    value: float
    low: float | None = None
    high: float | None = None
    least: float | None = None
    way: str = ""
    trusted: bool = True


Guesses = dict[str, Guess]
Estimate = Callable[[np.ndarray], Guesses]


def unchanged(task: str, holdout: np.ndarray) -> Estimate:
    """Return what it was on the holdout."""
    values = {name: Guess(value) for name, value in truth(task, holdout).items()}
    return lambda _window: values


def mlkit(task: str, holdout: np.ndarray) -> Estimate:
    """Return mlkit's estimates of every loss."""
    from mlkit.steps.performance import estimation, estimation_fit

    losses = ("log_loss", "error_rate") if task == "classification" else ("mae",)
    known = {}
    for metric in losses:
        rows, actual = _rows(task, holdout)
        material = estimation_fit.Material(
            metric, rows, _losses(metric, holdout), actual,
            classes=(0.0, 1.0) if task == "classification" else (),
        )  # fmt: skip
        known[metric] = estimation_fit.fit(material)

    def run(window: np.ndarray) -> Guesses:
        rows, _ = _rows(task, window)
        found = {
            metric: estimation.estimate(each, rows, confidence=CONFIDENCE)
            for metric, each in known.items()
        }
        return {
            metric: Guess(each.value, each.low, each.high, each.least, each.way, each.trusted)
            for metric, each in found.items()
        }

    return run


def calibration(task: str, holdout: np.ndarray) -> Estimate:
    """Return mlkit's calibration alone, with the metrics of NannyML: the two must be equal."""
    from mlkit.steps.performance import calibration as curves

    if task == "regression":
        return lambda _window: {}
    said = np.column_stack([1 - holdout[:, -2], holdout[:, -2]])
    known = curves.fit(said, holdout[:, -1].astype(int))

    def run(window: np.ndarray) -> Guesses:
        score = window[:, -2]
        chance = curves.apply(known, np.column_stack([1 - score, score]))[:, 1]
        return {name: Guess(value) for name, value in _of_chances(score, chance).items()}

    return run


def nannyml(task: str, holdout: np.ndarray) -> Estimate:
    """Return NannyML's CBPE and DLE, with their defaults."""
    import nannyml as nml

    if task == "classification":
        names: tuple[str, ...] = ("accuracy", "roc_auc", "f1", "precision", "recall", "specificity")
        tool: Any = nml.CBPE(
            y_pred_proba="p", y_pred="said", y_true="y", metrics=list(names), chunk_number=1,
            problem_type="classification_binary",
        )  # fmt: skip
    else:
        names = ("mae",)
        inputs = [f"x{place}" for place in range(holdout.shape[1] - 2)]
        tool = nml.DLE(
            feature_column_names=inputs, y_pred="p", y_true="y", metrics=["mae"], chunk_number=1
        )
    tool.fit(_frame(holdout))

    def run(window: np.ndarray) -> Guesses:
        table = tool.estimate(_frame(window)).filter(period="analysis").to_df()
        found = {name: float(table[name, "value"].iloc[-1]) for name in names}
        guesses = {name: Guess(value) for name, value in found.items()}
        if "accuracy" in found:
            guesses["error_rate"] = Guess(1 - found["accuracy"])
            if not tool.needs_calibration:
                guesses["uncalibrated"] = Guess(1.0)
        return guesses

    return run


def truth(task: str, rows: np.ndarray) -> dict[str, float]:
    """Return the losses that really were."""
    names = ("log_loss", "error_rate") if task == "classification" else ("mae",)
    return {name: float(_losses(name, rows).mean()) for name in names}


def _losses(metric: str, rows: np.ndarray) -> np.ndarray:
    said, y = rows[:, -2], rows[:, -1]
    if metric == "mae":
        return np.abs(said - y)
    if metric == "error_rate":
        return ((said > 0.5) != y).astype(float)
    return -np.log(np.clip(np.where(y == 1, said, 1 - said), np.finfo(float).eps, 1))


def _rows(task: str, rows: np.ndarray) -> tuple[Any, np.ndarray]:
    from mlkit.steps.inputs.answers import Predictions
    from mlkit.steps.performance import estimation

    said, classification = rows[:, -2], task == "classification"
    told = np.column_stack([1 - said, said]) if classification else None
    values = (said > 0.5).astype(float).tolist() if classification else said.tolist()
    found = estimation.answered(
        rows[:, :-2], Predictions(values, told), (0.0, 1.0) if classification else ()
    )
    return found, rows[:, -1].astype(int) if classification else np.zeros(0, dtype=int)


def _frame(rows: np.ndarray) -> Any:
    import pandas as pd

    names = [*(f"x{place}" for place in range(rows.shape[1] - 2)), "p", "y"]
    frame = pd.DataFrame(rows, columns=names)
    return frame.assign(said=(frame["p"] > 0.5).astype(int))


def _of_chances(score: np.ndarray, chance: np.ndarray) -> dict[str, float]:
    """Return expected metrics as NannyML's documentation defines them."""
    yes = score > 0.5
    hit, missed = chance[yes].sum(), chance[~yes].sum()
    wrong, right = (1 - chance[yes]).sum(), (1 - chance[~yes]).sum()
    return {
        "accuracy": float((hit + right) / len(score)),
        "precision": float(hit / (hit + wrong)),
        "recall": float(hit / (hit + missed)),
        "specificity": float(right / (right + wrong)),
        "f1": float(2 * hit / (2 * hit + wrong + missed)),
        "roc_auc": _area(score, chance),
    }


def _area(score: np.ndarray, chance: np.ndarray) -> float:
    """Return the area under the expected ROC curve, counts rounded to 5 places as NannyML does."""
    best_first = chance[np.argsort(score)[::-1]]
    steps = [np.r_[0.0, np.cumsum(each)].round(5) for each in (best_first, 1 - best_first)]
    hits, false = (counts / counts[-1] for counts in steps)
    return float(np.trapezoid(hits, false))


def measure(tool: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what a tool says of each window, and how long it took."""
    for path in sorted(folder.glob("*.npz")):
        file = np.load(path)
        task, model = str(file["task"]), str(file["model"])
        run, fit_s = _timed(lambda: TOOLS[tool](task, file["holdout"]))  # noqa: B023  # called at once
        for key in file.files:
            if "|" not in key:
                continue
            shift, rows, _ = key.split("|")
            found, took = _timed(lambda: run(file[key]))  # noqa: B023
            real = truth(task, file[key])
            for metric, guess in found.items():
                yield {
                    "tool": tool, "task": task, "model": model, "file": path.stem, "key": key,
                    "shift": shift, "rows": int(rows), "metric": metric, "s": took, "fit_s": fit_s,
                    "truth": real.get(metric), "holdout": truth(task, file["holdout"]).get(metric),
                    **guess._asdict(),
                }  # fmt: skip


def _timed(act: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    found = act()
    return found, time.perf_counter() - start


TOOLS = {tool.__name__: tool for tool in (unchanged, mlkit, calibration, nannyml)}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for line in measure(sys.argv[1], Path(sys.argv[2])):
        print(json.dumps(line))
