"""Joint drift of a champion's requests or of two files: fetch the rows that a classifier compares.

What it says is one more test of a drift result; what keeps it from being made is a warning there.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from mlkit.errors import InvalidInputError, MlkitError
from mlkit.flows.data import ingest
from mlkit.flows.registry import deploy
from mlkit.flows.training import material
from mlkit.progress import Progress
from mlkit.project import Project
from mlkit.steps.drift import family, joint, times, violations
from mlkit.steps.drift.detection import DriftRule
from mlkit.steps.drift.joint import Level, Sides
from mlkit.steps.drift.result import DriftResult
from mlkit.steps.inputs import encode, schema_inference
from mlkit.steps.inputs.columns import Column, InputSchema
from mlkit.steps.predictors import threads
from mlkit.steps.training import target
from mlkit.store.registry import ModelVersion

_PASSING = ("days", "month")  # parts of a time: they say that time has passed


class How(NamedTuple):
    """The rule, the time that the reference and the current rows span, and who is told."""

    rule: DriftRule
    spans_s: tuple[float | None, float | None]
    seed: int
    report: Progress


def of_version(
    project: Project, version: ModelVersion, current: pa.Table, result: DriftResult, how: How
) -> DriftResult:
    """Return ``result`` with the joint test of ``current`` requests against the training rows."""
    how.report("reading the training data")
    try:
        known = _training_rows(project, version)
        return _tested(known, current, deploy.input_schema(version).columns, result, how)
    except MlkitError as error:
        return _untested(result, error)


def of_tables(first: pa.Table, second: pa.Table, result: DriftResult, how: How) -> DriftResult:
    """Return ``result`` with the joint test of the columns that both tables have."""
    present = set(second.column_names) - {times.MOMENT}
    common = [name for name in first.column_names if name in present]
    columns = [
        msgspec.structs.replace(column, kind="number") if column.kind == "integer" else column
        for column in schema_inference.infer_columns(first.select(common))
    ]
    fitted = {c.name: violations.fit(c.kind, second.column(c.name))[0] for c in columns}
    try:
        return _tested(first, pa.table(fitted), columns, result, how)
    except MlkitError as error:
        return _untested(result, error)


def _training_rows(project: Project, version: ModelVersion) -> pa.Table:
    """Return what the version was trained and judged on, in time order."""
    dataset = version.dataset_version.dataset
    if dataset.time_column is None:
        raise InvalidInputError(
            "the training data has no time column, so how well its own windows can be told from "
            "the rest of it cannot be known (see: mlkit data add --time)"
        )
    rows = ingest.load_version(project, version.dataset_version)
    table, _ = target.keep_labelled(rows, str(dataset.target))
    moments = np.asarray(material.moments_of(table, dataset.time_column))
    return table.take(pa.array(np.argsort(moments, kind="stable")))


def _tested(
    first: pa.Table, second: pa.Table, columns: Sequence[Column], result: DriftResult, how: How
) -> DriftResult:
    chosen = joint.plan(
        first.num_rows, second.num_rows, density=_density(first, second, how),
        ordered=how.rule.ordered, seed=how.seed,
    )  # fmt: skip
    taken = InputSchema(columns=tuple(columns), target="", task="regression")
    schema = schema_inference.relaxed(taken)
    kept = encode.lasting(schema, passing=_PASSING)
    names = [encode.names(schema)[place] for place in kept]

    def matrix(table: pa.Table, places: np.ndarray) -> np.ndarray:
        found: np.ndarray = encode.matrix_of_table(schema, table.take(pa.array(places)))[:, kept]
        return found

    sides = Sides(
        matrix(first, chosen.sample),
        tuple(matrix(first, window) for window in chosen.windows),
        matrix(second, chosen.window),
    )
    groups: list[family.Group] = ["margin", "violation", "joint"]
    level = Level(how.rule.min_joint, how.rule.alpha * family.share("joint", groups))
    with threads.fit_for(len(sides.sample)):
        found = joint.test(sides, chosen, names, level, seed=how.seed, report=how.report)
    enough = min(result.rows.reference, result.rows.current) >= how.rule.min_rows
    return family.add(result, found, enough=enough)


def _untested(result: DriftResult, error: MlkitError) -> DriftResult:
    warning = f"joint_skipped: {error}"
    return msgspec.structs.replace(result, warnings=(*result.warnings, warning))


def _density(first: pa.Table, second: pa.Table, how: How) -> float:
    """Return how many rows of ``second`` came in the time of one of ``first``."""
    before, now = map(times.rate, (first.num_rows, second.num_rows), how.spans_s)
    return 1.0 if before is None or now is None else now / before
