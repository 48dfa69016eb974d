"""From a dataset version to what is learned from: schema, encoded rows, split, warnings."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.errors import ConflictError, InvalidInputError
from mlkit.flows.data import ingest
from mlkit.flows.features import requests
from mlkit.flows.registry import deploy
from mlkit.project import Project
from mlkit.settings.table import duration
from mlkit.steps import suggestion
from mlkit.steps.inputs import bounds, encode, prediction_columns
from mlkit.steps.inputs.columns import InputSchema, Task
from mlkit.steps.performance.metrics import Resampling, block_length
from mlkit.steps.rules import rule_file
from mlkit.steps.training import (
    overlap,
    recency,
    split,
    suspicion,
    target,
    target_shift,
    time_travel,
)
from mlkit.steps.training.fitting import Rows
from mlkit.steps.training.split import Split
from mlkit.steps.training.target import Wish
from mlkit.store import datasets, registry
from mlkit.store.datasets import Dataset, DatasetVersion
from mlkit.store.registry import Model, ModelVersion


class Order(NamedTuple):
    """What is to be trained on what; ``champion`` is the version to beat, if there is one."""

    model: str
    dataset: DatasetVersion
    champion: ModelVersion | None
    task: Wish
    champion_deployment: int | None
    half_life: str = "off"
    ignore: tuple[str, ...] = ()


class Material(NamedTuple):
    """Labelled rows, raw and encoded, and which of them judge.

    ``constant`` are the columns that were left out because all rows have the same there.
    """

    schema: InputSchema
    table: pa.Table
    columns: list[list[object]]
    rows: Rows
    split: Split
    ordered: bool
    span_s: float | None
    warnings: list[str]
    constant: tuple[str, ...] = ()

    @property
    def holdout(self) -> Rows:
        """The rows that judge."""
        return self.rows.pick(self.split.holdout)

    @property
    def training(self) -> Rows:
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


def order(project: Project, model: str, data: str, task: Wish, half_life: str = "off") -> Order:
    """Look up the dataset version and the champion; raises NotFoundError, ConflictError.

    A model keeps its task and target for life: its clients and its actuals depend on them.
    """
    name, number = ingest.parse_reference(data)
    with project.read() as s:
        dataset = datasets.get_version(s, name, number)
        row = registry.find_model(s, model)
        current = registry.champion(s, row) if row else None
    if dataset.dataset.target is None:
        raise InvalidInputError(
            f"dataset '{name}' has no target column; name it by adding its file again: "
            f"mlkit data add {name} FILE --target COLUMN"
        )
    return Order(
        model=model,
        dataset=dataset,
        champion=current.version if current else None,
        task=_same_task(row, dataset, task),
        champion_deployment=current.id if current else None,
        half_life=half_life,
    )


def gather(project: Project, wanted: Order) -> Material:
    """Read, label, encode and split the rows; raises InvalidInputError if they teach nothing."""
    dataset = wanted.dataset.dataset
    name = str(dataset.target)
    whole = ingest.load_version(project, wanted.dataset)
    table, warnings = target.keep_labelled(whole, name)
    _enough(project, len(table))
    task = target.infer_task(table.column(name), wanted.task)
    target.check(table.column(name), task, name)
    _check_ignored(project, table, name, wanted)
    constant = _constant(table, name, wanted)
    may_be_null = _may_be_null(whole, wanted)
    schema = _schema(table.drop_columns(constant), name, task, wanted, may_be_null)
    warnings += [_of_constant(table, column) for column in constant]
    bounds.refuse(whole, schema.names, bounds.INPUT)
    schema = requests.with_gaps(project, wanted.dataset, schema)
    columns = encode.columns_of_table(schema, table)
    rows = Rows(
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


def _same_task(row: Model | None, dataset: DatasetVersion, task: Wish) -> Wish:
    if row is None:
        return task
    if row.target != dataset.dataset.target or task not in ("auto", row.task):
        wish = "model" if task == "auto" else task
        raise ConflictError(
            f"model '{row.name}' is a {row.task} of '{row.target}', and this would be a {wish} of "
            f"'{dataset.dataset.target}'; give it a name of its own"
        )
    known: Task = "classification" if row.task == "classification" else "regression"
    return known


def _enough(project: Project, rows: int) -> None:
    least = project.settings.train.min_rows
    if rows < least:
        raise InvalidInputError(
            f"{rows} rows with a target are too few to train on, {least} are needed "
            "(setting train.min_rows)"
        )


def _constant(table: pa.Table, target_name: str, wanted: Order) -> list[str]:
    """Return the columns with nothing to learn from that no client sends yet.

    Those of a join stay: something may be computed from them. So does the last one.
    """
    like = deploy.input_schema(wanted.champion) if wanted.champion else None
    dataset = wanted.dataset.dataset
    keys = {target_name, dataset.time_column, dataset.entity_column, *wanted.ignore}
    inputs = [name for name in table.column_names if name not in keys]
    if wanted.dataset.join:
        return []
    found = [
        name
        for name in inputs
        if (like is None or name not in like.names)
        and pc.count_distinct(table.column(name), mode="all").as_py() == 1
    ]
    return found if len(found) < len(inputs) else []


def _of_constant(table: pa.Table, name: str) -> str:
    left = "it is left out, and the model does not ask for it"
    if table.column(name).null_count:
        return f"all_missing: '{name}' has no value; {left}"
    return f"constant_column: '{name}' has one value; {left}"


def _may_be_null(whole: pa.Table, wanted: Order) -> set[str]:
    """Return the columns that lack a value in some row, labelled or not, or may by the rules."""
    schema = rule_file.from_yaml(
        wanted.dataset.schema_yaml, f"the rules of {wanted.dataset.reference}"
    )
    known = schema.columns
    return {
        name
        for name in whole.column_names
        if whole.column(name).null_count or (name in known and known[name].nullable)
    }


def _schema(
    table: pa.Table, name: str, task: Task, wanted: Order, may_be_null: set[str]
) -> InputSchema:
    dataset = wanted.dataset.dataset
    keys = (dataset.time_column, dataset.entity_column)
    ignore = {*wanted.ignore, *(column for column in keys if column)}
    like = deploy.input_schema(wanted.champion) if wanted.champion else None
    schema = encode.infer_schema(table, target=name, task=task, ignore=ignore, like=like)
    schema = encode.relaxed(schema, may_be_null)
    taken = prediction_columns.names(schema) & set(schema.names)
    if taken:
        raise InvalidInputError(
            f"a column is called '{min(taken)}', as the answers are where drift is looked for; "
            "rename it"
        )
    return schema


def _check_ignored(project: Project, table: pa.Table, target_name: str, wanted: Order) -> None:
    """Raise InvalidInputError if a column to be left out is the target, needed or not there.

    What the champion left out is not in the log, so rows from there do without it.
    """
    left_out = wanted.champion.recipe.get("ignore", ()) if wanted.champion else ()
    needed = requests.computed_from(project, wanted.dataset) if wanted.ignore else {}
    for column in wanted.ignore:
        if column in needed:
            raise InvalidInputError(
                f"'{column}' cannot be ignored: the on-demand transformation '{needed[column]}' of "
                f"{wanted.dataset.reference} is made of it, so serving needs it"
            )
        if column == target_name:
            raise InvalidInputError(f"'{column}' is the target; there is nothing to learn without")
        if column not in table.column_names and column not in left_out:
            hint = suggestion.hint(column, table.column_names)
            raise InvalidInputError(
                f"{wanted.dataset.reference} has no column '{column}' to ignore; {hint}"
            )


def _span_s(table: pa.Table, name: str | None) -> float | None:
    """Return the seconds from the first row to the last, if their times are times."""
    if name is None or not pa.types.is_timestamp(table.schema.field(name).type):
        return None
    extremes = pc.min_max(table.column(name)).as_py()
    return (extremes["max"] - extremes["min"]).total_seconds() if extremes["max"] else None
