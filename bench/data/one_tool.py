"""Check one table with one tool, in that tool's environment; print what it took and what it found.

one_tool.py TOOL TABLE.parquet REPEATS
"""

import json
import resource
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import tables

Found = dict[str, int] | None
Check = Callable[[], Found]


def by_numpy(file: Path, name: str) -> Check:
    """Return the floor: the extremes of numbers, the different texts. It names no row."""
    table = pq.read_table(file)

    def check() -> Found:
        fits = []
        for place, column in enumerate(table.columns):
            if tables.kind(name, place) == "text":
                words = {word for chunk in column.chunks for word in chunk.unique().to_pylist()}
                fits.append(words <= set(tables.WORDS))
            else:
                values = (chunk.drop_null().to_numpy() for chunk in column.chunks)
                ends = [(v.min(), v.max()) for v in values if len(v)]
                fits.append(all(a >= tables.LOW and b <= tables.HIGH for a, b in ends))
        return None

    return check


def by_mlkit(file: Path, name: str) -> Check:
    from mlkit.steps.rules import checks
    from mlkit.steps.rules import rule_file as rules

    lines = ["columns:"]
    for place in range(tables.COLUMNS):
        what = tables.kind(name, place)
        dtype = {"number": "float64", "integer": "Int64", "text": "string"}[what]
        rule = (
            f"isin: [{', '.join(tables.WORDS)}], str_length: {{max_value: {tables.LONGEST}}}"
            if what == "text"
            else f"in_range: {{min_value: {int(tables.LOW)}, max_value: {int(tables.HIGH)}}}"
        )
        lines.append(f"  c{place}: {{dtype: {dtype}, {rule}}}")
    schema = rules.from_yaml("\n".join(lines), "bench")
    table = pq.read_table(file)

    def check() -> Found:
        found: dict[str, int] = {}
        for failure in checks.check(table, schema).failures:
            found[failure.column] = found.get(failure.column, 0) + failure.count
        return found

    return check


def by_pandera(file: Path, name: str) -> Check:
    import pandas as pd
    import pandera.pandas as pandera
    from pandera import errors

    columns = {}
    for place in range(tables.COLUMNS):
        rules = (
            [pandera.Check.isin(tables.WORDS), pandera.Check.str_length(0, tables.LONGEST)]
            if tables.kind(name, place) == "text"
            else [pandera.Check.in_range(tables.LOW, tables.HIGH)]
        )
        columns[f"c{place}"] = pandera.Column(None, rules, nullable=False)
    schema = pandera.DataFrameSchema(columns)
    frame = pq.read_table(file).to_pandas(types_mapper=_types(pd).get)

    def check() -> Found:
        try:
            schema.validate(frame, lazy=True)
        except errors.SchemaErrors as broken:
            return {k: int(v) for k, v in broken.failure_cases.groupby("column").size().items()}
        return {}

    return check


def _types(pd: Any) -> dict[pa.DataType, Any]:
    return {pa.int64(): pd.Int64Dtype(), pa.string(): pd.StringDtype("pyarrow")}


def by_great_expectations(file: Path, name: str) -> Check:
    import great_expectations as gx
    from great_expectations import expectations as gxe

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("table")
    definition = asset.add_batch_definition_whole_dataframe("all")
    suite = gx.ExpectationSuite("suite")
    for place in range(tables.COLUMNS):
        column = f"c{place}"
        suite.add_expectation(gxe.ExpectColumnValuesToNotBeNull(column=column))
        if tables.kind(name, place) == "text":
            suite.add_expectation(
                gxe.ExpectColumnValuesToBeInSet(column=column, value_set=tables.WORDS)
            )
            suite.add_expectation(
                gxe.ExpectColumnValueLengthsToBeBetween(column=column, max_value=tables.LONGEST)
            )
        else:
            suite.add_expectation(
                gxe.ExpectColumnValuesToBeBetween(
                    column=column, min_value=tables.LOW, max_value=tables.HIGH
                )
            )
    suite = context.suites.add(suite)
    frame = pq.read_table(file).to_pandas()

    def check() -> Found:
        result = definition.get_batch({"dataframe": frame}).validate(suite)
        found: dict[str, int] = {}
        for one in result.results:
            if not one.success:
                column = one.expectation_config.kwargs["column"]
                found[column] = found.get(column, 0) + one.result["unexpected_count"]
        return found

    return check


TOOLS = {
    "numpy": by_numpy,
    "mlkit": by_mlkit,
    "pandera": by_pandera,
    "great-expectations": by_great_expectations,
}


def main() -> None:
    warnings.simplefilter("ignore")
    tool, file, repeats = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    before = time.perf_counter()
    check = TOOLS[tool](file, file.stem)
    ready = time.perf_counter() - before
    peak_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took = []
    for _ in range(repeats):
        began = time.perf_counter()
        found = check()
        took.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = {
        "ready_s": ready, "first_s": took[0], "best_s": min(took),
        "added_mb": (peak - peak_before) / 1024, "found": found,
    }  # fmt: skip
    print(json.dumps(result))


if __name__ == "__main__":
    main()
