"""Which columns of a dataset version are learned from, and which are left out."""

import pyarrow as pa
import pyarrow.compute as pc

from mlkit.errors import InvalidInputError
from mlkit.flows.features import requests
from mlkit.flows.registry import deploy
from mlkit.flows.training.order import Order
from mlkit.project import Project
from mlkit.steps import suggestion
from mlkit.steps.inputs import prediction_columns, schema_inference
from mlkit.steps.inputs.columns import InputSchema, Task
from mlkit.steps.rules import rule_file


def check_ignored(project: Project, table: pa.Table, target_name: str, wanted: Order) -> None:
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


def constant(table: pa.Table, target_name: str, wanted: Order) -> list[str]:
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


def why_left_out(table: pa.Table, name: str) -> str:
    """Return the warning about a column that ``constant`` has named."""
    left = "it is left out, and the model does not ask for it"
    if table.column(name).null_count:
        return f"all_missing: '{name}' has no value; {left}"
    return f"constant_column: '{name}' has one value; {left}"


def may_be_null(whole: pa.Table, wanted: Order) -> set[str]:
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


def schema(
    table: pa.Table, name: str, task: Task, wanted: Order, may_be_null: set[str]
) -> InputSchema:
    """Return what the model is asked with: the champion's types where it has one.

    Raises InvalidInputError if a column has the name of an answer.
    """
    dataset = wanted.dataset.dataset
    keys = (dataset.time_column, dataset.entity_column)
    ignore = {*wanted.ignore, *(column for column in keys if column)}
    like = deploy.input_schema(wanted.champion) if wanted.champion else None
    schema = schema_inference.infer_schema(table, target=name, task=task, ignore=ignore, like=like)
    schema = schema_inference.relaxed(schema, may_be_null)
    taken = prediction_columns.names(schema) & set(schema.names)
    if taken:
        raise InvalidInputError(
            f"a column is called '{min(taken)}', as the answers are where drift is looked for; "
            "rename it"
        )
    return schema
