"""Ask one package about windows: ``packages.py TOOL FOLDER...``, in the tool's own environment.

A folder has a ``known.npy`` and ``windows.npy``, the windows one behind the other along the first
axis. Prints a line of JSON for each folder: for each detector whether it alarms in each window.
"""

import copy
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Alarms = dict[str, list[bool]]

KSWIN_ROWS, KSWIN_WINDOWS = 1_000, 4  # a tenth of a second for 600 rows of one feature


def evidently(known: np.ndarray, windows: np.ndarray) -> Alarms:
    """Return the verdicts of Evidently's preset: the share of the columns that drifted."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    names = _names(known)
    are_labels = known.dtype.kind == "i"
    kinds = {"categorical_columns": names} if are_labels else {"numerical_columns": names}

    def dataset(values: np.ndarray) -> Dataset:
        return Dataset.from_pandas(_frame(values), data_definition=DataDefinition(**kinds))

    def one(window: np.ndarray) -> bool:
        found = Report([DataDriftPreset()]).run(dataset(window), dataset(known)).dict()
        share = next(m["value"]["share"] for m in found["metrics"] if "share" in str(m["value"]))
        return bool(share >= 0.5)

    return {"evidently": [one(window) for window in windows]}


def nannyml(known: np.ndarray, windows: np.ndarray) -> Alarms:
    """Return the verdicts of NannyML's univariate drift, chunks as long as the windows."""
    import nannyml as nml

    calculator = nml.UnivariateDriftCalculator(
        column_names=_names(known), chunk_size=windows.shape[1],
        treat_as_categorical=_names(known) if known.dtype.kind == "i" else None,
    )  # fmt: skip
    calculator.fit(_frame(known))

    def one(window: np.ndarray) -> bool:
        found = calculator.calculate(_frame(window)).filter(period="analysis").to_df()
        alerts = [name for name in found.columns if name[-1] == "alert"]
        return bool(found[alerts].to_numpy(dtype=bool).any())

    return {"nannyml": [one(window) for window in windows]}


def alibi(known: np.ndarray, windows: np.ndarray) -> Alarms:
    """Return the verdicts of alibi-detect, which corrects as Bonferroni does."""
    from alibi_detect.cd import ChiSquareDrift, KSDrift

    kind = ChiSquareDrift if known.dtype.kind == "i" else KSDrift
    detector = kind(known, p_val=0.05)
    return {"alibi": [bool(detector.predict(window)["data"]["is_drift"]) for window in windows]}


def river(known: np.ndarray, windows: np.ndarray) -> Alarms:
    """Return whether any feature's detector sees drift in a window streamed behind the reference.

    KSWIN remembers its last hundred rows only, so that no more of the reference is streamed.
    """
    from river import drift

    found = {
        "adwin": _streamed(drift.ADWIN, known, windows),
        "page_hinkley": _streamed(drift.PageHinkley, known, windows),
    }
    if windows.shape[1] <= KSWIN_ROWS:
        found["kswin"] = _streamed(
            lambda: drift.KSWIN(seed=1), known[-200:], windows[:KSWIN_WINDOWS]
        )
    return found


def _streamed(make: Callable, known: np.ndarray, windows: np.ndarray) -> list[bool]:
    ready = [make() for _ in range(known.shape[1])]
    for detector, column in zip(ready, known.T.tolist(), strict=True):
        for value in column:
            detector.update(value)
    return [any(_sees(ready, window)) for window in windows]


def _sees(ready: list, window: np.ndarray) -> Iterator[bool]:
    for detector, column in zip(copy.deepcopy(ready), window.T.tolist(), strict=True):
        for value in column:
            detector.update(value)
            if detector.drift_detected:
                yield True
                break


def _names(values: np.ndarray) -> list[str]:
    return [f"x{place}" for place in range(values.shape[1])]


def _frame(values: np.ndarray) -> Any:
    import pandas as pd  # river's environment has none

    return pd.DataFrame(values, columns=_names(values))


TOOLS = {tool.__name__: tool for tool in (evidently, nannyml, alibi, river)}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for folder in map(Path, sys.argv[2:]):
        arrays = [np.load(folder / name) for name in ("known.npy", "windows.npy")]
        print(json.dumps(TOOLS[sys.argv[1]](*arrays)), flush=True)
