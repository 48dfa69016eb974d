"""Compare a window with a reference by one tool: ``measure.py TOOL REFERENCE WINDOW``.

Run in the tool's own environment. Prints what it took as JSON. Frames are in memory before.
"""

import json
import resource
import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

Statistics = dict[str, float]
Run = Callable[[], Statistics]


def mlkit(reference: pd.DataFrame, window: pd.DataFrame) -> Run:
    """Fit once, and return the check of the window."""
    import pyarrow as pa

    from mlkit.steps.drift import detection
    from mlkit.steps.drift import reference as references
    from mlkit.steps.tables import casts

    def table(frame: pd.DataFrame) -> pa.Table:
        texts = pa.Table.from_pandas(frame.select_dtypes("str"), preserve_index=False)
        columns = {
            name: texts[name] if _is_text(frame[name]) else pa.chunked_array([frame[name]])
            for name in frame
        }
        return pa.table({name: casts.canonical(each, name) for name, each in columns.items()})

    known = references.summarize(table(reference))

    def run() -> Statistics:
        found = detection.compare(known, table(window), detection.DriftRule())
        return {f.name: f.statistic for f in found.features}

    return run


def scipy(reference: pd.DataFrame, window: pd.DataFrame) -> Run:
    """Return a loop over scipy's tests, as one writes it by hand."""
    from scipy import stats

    def one(name: str) -> float:
        if reference[name].dtype.kind == "f":
            first, second = (frame[name].to_numpy() for frame in (reference, window))
            return float(stats.ks_2samp(first, second, method="asymp").statistic)
        counts = [frame[name].value_counts() for frame in (reference, window)]
        table = pd.concat(counts, axis=1).fillna(0).to_numpy().T
        return float(stats.chi2_contingency(table, correction=False).statistic)

    return lambda: {str(name): one(str(name)) for name in reference}


def evidently(reference: pd.DataFrame, window: pd.DataFrame) -> Run:
    """Return Evidently's preset."""
    from evidently import Report
    from evidently.presets import DataDriftPreset

    def run() -> Statistics:
        Report([DataDriftPreset()]).run(window, reference).dict()
        return {}

    return run


def nannyml(reference: pd.DataFrame, window: pd.DataFrame) -> Run:
    """Fit once, and return NannyML's univariate drift by KS and chi-squared."""
    import nannyml as nml

    calculator = nml.UnivariateDriftCalculator(
        column_names=list(reference.columns),
        continuous_methods=["kolmogorov_smirnov"],
        categorical_methods=["chi2"],
        chunk_size=len(window),
    )
    calculator.fit(reference)

    def run() -> Statistics:
        calculator.calculate(window).filter(period="analysis").to_df()
        return {}

    return run


def alibi(reference: pd.DataFrame, window: pd.DataFrame) -> Run:
    """Fit once, and return alibi-detect's tabular drift."""
    from alibi_detect.cd import TabularDrift

    labels = {place: None for place, name in enumerate(reference) if _is_text(reference[name])}
    detector = TabularDrift(
        reference.to_numpy(dtype=object), p_val=0.05, categories_per_feature=labels
    )

    def run() -> Statistics:
        detector.predict(window.to_numpy(dtype=object))
        return {}

    return run


def whylogs(reference: pd.DataFrame, window: pd.DataFrame) -> Run:
    """Profile the reference once, and return the profile of the window and its drift scores."""
    import whylogs as why
    from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

    known = why.log(pandas=reference).view()

    def run() -> Statistics:
        view = why.log(pandas=window).view()
        calculate_drift_scores(target_view=view, reference_view=known, with_thresholds=True)
        return {}

    return run


def sort(reference: pd.DataFrame, window: pd.DataFrame) -> Run:
    """Return what no method that sorts can be faster than."""
    numbers = [window[name].to_numpy() for name in reference if not _is_text(reference[name])]

    def run() -> Statistics:
        for values in numbers:
            np.sort(values)
        return {}

    return run


def _is_text(column: pd.Series) -> bool:
    return column.dtype.kind != "f"


TOOLS = {tool.__name__: tool for tool in (mlkit, scipy, evidently, nannyml, alibi, whylogs, sort)}


def main() -> None:
    """Measure one tool."""
    tool, *files = sys.argv[1:]
    reference, window = (pd.read_parquet(file) for file in files)
    loaded = _peak_mb()
    start = time.perf_counter()
    run = TOOLS[tool](reference, window)
    fitted = time.perf_counter()
    times: list[float] = []
    cpu: list[float] = []
    while len(times) < 3 and sum(times) < 20:
        before, used = time.perf_counter(), time.process_time()
        statistics = run()
        times.append(time.perf_counter() - before)
        cpu.append(time.process_time() - used)
    print(json.dumps({
        "ready_s": fitted - start, "first_s": times[0], "best_s": min(times), "cpu_s": min(cpu),
        "extra_mb": _peak_mb() - loaded, "statistics": statistics,
    }))  # fmt: skip


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
