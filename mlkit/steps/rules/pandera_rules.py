"""Rules as pandera knows them: for the few that are not compiled, and as the witness of the rest.

Importing pandera costs 0.35 s and 50 MB, so nothing here is loaded while ``masks`` is enough.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
from pandera import errors

from mlkit.errors import InvalidInputError
from mlkit.steps.rules import patterns
from mlkit.steps.rules.schema import NOT_NULLABLE, UNIQUE, VALUE_RULES, Rule
from mlkit.steps.rules.text_rules import PATTERNS
from mlkit.steps.tables import dtypes

_REFUSALS = (errors.SchemaDefinitionError, errors.SchemaInitError, errors.SchemaError)


class Verdict(NamedTuple):
    """The rows that pandera finds to break a rule; without rows, what it says of the column."""

    label: str
    rows: np.ndarray
    whole: str | bool | None = None


def judge(column: pa.ChunkedArray, rule: Rule) -> Verdict | None:
    """Return what pandera finds wrong with a column by one rule, or None."""
    schema = pandera.DataFrameSchema({"x": column_of((rule,))})
    frame = frame_of(pa.table({"x": column}))
    try:
        schema.validate(frame, lazy=True)
    except errors.SchemaErrors as failed:
        cases = failed.failure_cases
        label = str(cases["check"].iloc[0])
        rows = cases["index"].dropna().to_numpy(dtype=np.int64)
        whole = None if len(rows) else cases["failure_case"].iloc[0]
        return Verdict(label, np.unique(rows), whole)
    return None


def frame_of(table: pa.Table) -> Any:
    """Return a table as the frame that pandera is to judge."""
    return dtypes.to_pandas(table, dtypes.INTEGER, dtypes.BOOLEAN, dtypes.TEXT)


def column_of(rules: tuple[Rule, ...]) -> pandera.Column:
    """Return pandera's column with those of the rules that it knows."""
    names = {rule.name for rule in rules}
    return pandera.Column(
        None,
        checks=[check_of(rule) for rule in rules if rule.name in VALUE_RULES],
        nullable=NOT_NULLABLE not in names,
        unique=UNIQUE in names,
    )


def check_of(rule: Rule) -> pandera.Check:
    """Return pandera's check; raises InvalidInputError if it refuses the arguments."""
    options: dict[str, Any] = {k: v for k, v in rule.options.items() if k != "check_name"}
    try:
        check = _of_pattern(rule) if rule.name in PATTERNS else _of_pandera(rule)
        for name, value in options.items():
            setattr(check, name, value)
    except (TypeError, ValueError, AttributeError, *_REFUSALS) as error:
        raise InvalidInputError(f"{rule.name}: {str(error)[:300]}") from error
    return check


def _of_pandera(rule: Rule) -> pandera.Check:
    check: pandera.Check = getattr(pandera.Check, rule.name)(**rule.arguments)
    return check


def _of_pattern(rule: Rule) -> pandera.Check:
    """Return pandera's check with our engine: Python's can take exponential time."""
    pattern, at_start = rule.arguments["pattern"], rule.name == "str_matches"

    def holds(column: pd.Series) -> pd.Series:
        texts = column.str.slice().to_list()  # raises for a column of no texts
        whole = pa.chunked_array([pa.array(texts, pa.string(), from_pandas=True)])
        return pd.Series(patterns.found(whole, pattern, at_start=at_start), column.index)

    return pandera.Check(holds, name=rule.name, error=rule.label)
