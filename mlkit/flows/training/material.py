"""From a dataset version to what is learned from: schema, encoded rows, split, warnings."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.errors import InvalidInputError
from mlkit.flows.data import ingest
from mlkit.flows.features import requests
from mlkit.flows.training import chosen_columns
from mlkit.flows.training.order import Order
from mlkit.project import Project
from mlkit.settings.table import duration
from mlkit.steps.inputs import bounds, encode
from mlkit.steps.inputs.columns import InputSchema
from mlkit.steps.performance.metrics import Resampling, block_length
from mlkit.steps.training import (
    overlap,
    recency,
    split,
    suspicion,
    target,
    target_shift,
    time_travel,
)
from mlkit.steps.training.fitting import EncodedRows
from mlkit.steps.training.split import Split
from mlkit.store.datasets import Dataset, DatasetVersion


class Material(NamedTuple):
    """Labelled rows, raw and encoded, and which of them judge.

    ``constant`` are the columns that were left out because all rows have the same there.
    """

    schema: InputSchema
    table: pa.Table
    columns: list[list[object]]
    rows: EncodedRows
    split: Split
    ordered: bool
    span_s: float | None
    warnings: list[str]
    constant: tuple[str, ...] = ()

    @property
    def holdout(self) -> EncodedRows:
        """The rows that judge."""
        return self.rows.pick(self.split.holdout)

    @property
    def training(self) -> EncodedRows:
        """The rows that teach."""
        return self.rows.pick(self.split.train)

    @property
    def in_order(self) -> pa.Table:
        """The raw rows, the oldest first if they have a time."""
        return self.table.take(np.concatenate(self.split))

    def resampling(self, project: Project) -> Resampling:
        """Return how intervals over the holdout are made."""
        settings = project.settings.train
        block = block_length(len(self.split.holdout), ordered=self.ordered)
        return Resampling(settings.bootstrap, settings.confidence, settings.seed, block)


def gather(project: Project, wanted: Order) -> Material:
    """Read, label, encode and split the rows; raises InvalidInputError if they teach nothing."""
    dataset = wanted.dataset.dataset
    name = str(dataset.target)
    whole = ingest.load_version(project, wanted.dataset)
    table, warnings = target.keep_labelled(whole, name)
    _enough(project, len(table))
    task = target.infer_task(table.column(name), wanted.task)
    target.check(table.column(name), task, name)
    chosen_columns.check_ignored(project, table, name, wanted)
    constant = chosen_columns.constant(table, name, wanted)
    may_be_null = chosen_columns.may_be_null(whole, wanted)
    schema = chosen_columns.schema(table.drop_columns(constant), name, task, wanted, may_be_null)
    warnings += [chosen_columns.why_left_out(table, column) for column in constant]
    bounds.refuse(whole, schema.names, bounds.INPUT)
    schema = requests.with_gaps(project, wanted.dataset, schema)
    columns = encode.columns_of_table(schema, table)
    rows = EncodedRows(
        encode.matrix(schema, columns),
        target.encode(table.column(name), task, schema.classes),
        table.column(name).to_pylist(),
        _weights(table, dataset, wanted.half_life),
    )
    seed = project.settings.train.seed
    moments = moments_of(table, dataset.time_column)
    parts = split.hold_out(
        len(table),
        project.settings.train.holdout,
        moments=moments,
        strata=rows.target if task == "classification" else None,
        seed=seed,
    )
    if len(np.unique(rows.target[parts.train])) < 2:
        raise InvalidInputError(
            f"the older rows, those to learn from, have one value of '{name}'; add rows"
        )
    warnings += suspicion.find(schema, rows.matrix, rows.target, seed=seed)
    warnings += suspicion.identifiers(schema, table)
    warnings += time_travel.find(
        whole, time=dataset.time_column, features=schema.names, views=_views(wanted.dataset)
    )
    keys = [column for column in (dataset.time_column, dataset.entity_column) if column]
    warnings += overlap.find(table, parts, features=schema.names, target=name, keys=keys)
    if moments is not None:
        shown = [rows.target[part] for part in (parts.train, parts.holdout)]
        warnings += target_shift.find(schema, *shown) + target_shift.unseen(schema, *shown)
    span_s = _span_s(table, dataset.time_column)
    return Material(
        schema, table, columns, rows, parts, moments is not None, span_s, warnings, tuple(constant)
    )


def _views(version: DatasetVersion) -> dict[str, str]:
    """Return the feature view, as ``name@version``, that each joined column comes from."""
    return {
        column: f"{view.name}@{view.version}"
        for view in (version.join.views if version.join else ())
        for column in view.columns
    }


def moments_of(table: pa.Table, name: str | None) -> np.ndarray | None:
    """Return a number that sorts the rows by time; a row without a time counts as the oldest."""
    if name is None:
        return None
    values = table.column(name)
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    elif not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        raise InvalidInputError(f"the time column '{name}' is {values.type}, not a time or number")
    moments = np.asarray(values.cast(pa.float64(), safe=False), dtype=float)
    return np.where(np.isnan(moments), -np.inf, moments)


def _weights(table: pa.Table, dataset: Dataset, half_life: str) -> np.ndarray | None:
    """Return what each row weighs in training, None if all weigh the same."""
    if half_life == "off":
        return None
    name = dataset.time_column
    if name is None or not pa.types.is_timestamp(table.schema.field(name).type):
        raise InvalidInputError(
            f"weights by recency (half-life {half_life}) need a column of times, and dataset "
            f"'{dataset.name}' has none; add its file once more with --time COLUMN"
        )
    moments = moments_of(table, name)
    assert moments is not None  # noqa: S101  # there is a time column
    return recency.weights(moments, duration(half_life).total_seconds())


def _enough(project: Project, rows: int) -> None:
    least = project.settings.train.min_rows
    if rows < least:
        raise InvalidInputError(
            f"{rows} rows with a target are too few to train on, {least} are needed "
            "(setting train.min_rows)"
        )


def _span_s(table: pa.Table, name: str | None) -> float | None:
    """Return the seconds from the first row to the last, if their times are times."""
    if name is None or not pa.types.is_timestamp(table.schema.field(name).type):
        return None
    extremes = pc.min_max(table.column(name)).as_py()
    return (extremes["max"] - extremes["min"]).total_seconds() if extremes["max"] else None
