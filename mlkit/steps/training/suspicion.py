"""Warnings about input columns that are useless (constants, identifiers) or too good (leakage)."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlkit.steps.inputs import encode
from mlkit.steps.inputs.columns import InputSchema, Task
from mlkit.steps.quality import identifier
from mlkit.steps.training import single_skill

_SAMPLE: Final = 5_000
_PERFECT: Final = 0.999
_MIN_ROWS: Final = 20
_ENOUGH_ROWS: Final = 200
_NEARLY_ALL: Final = 0.995
_ID_SHARE: Final = 0.5
_CELLS: Final = 2_000_000  # used to score each column alone: a second or two
_FEW: Final = 1_000
_OUTSTANDING: Final[Mapping[Task, float]] = {"regression": 0.97, "classification": 0.7}
_BESIDE: Final = 0.5  # score of the second best column, relative to the best, at most


def find(schema: InputSchema, matrix: np.ndarray, target: np.ndarray, *, seed: int) -> list[str]:
    """Return the warnings, each ``"<name>: <text>"``.

    ``all_missing``, ``constant_column`` and ``near_constant``: (almost) no information.
    ``identifier_like``: a text or whole number that is different in every row.
    ``leaking_target``: leakage. The column alone predicts the target almost exactly, or far better
    than any other column, so it is probably known only afterwards.
    """
    rows = len(target)
    if rows > _SAMPLE:
        chosen = np.random.default_rng(seed).choice(rows, _SAMPLE, replace=False)
        matrix, target = matrix[chosen], target[chosen]
    found = list(_walk(schema, matrix, target, rows))
    if not any(text.startswith("leaking_target") for text in found):
        found += _outstanding(schema, matrix, target)
    return found


def identifiers(schema: InputSchema, table: pa.Table) -> list[str]:
    """Return a warning ``identifier_like`` for each column of high cardinality.

    That is text, or a whole number named like an id, with distinct values in at least half of its
    rows. Columns with distinct values in all rows are left to ``find``.
    """
    found = []
    for column in schema.columns:
        named = column.kind == "integer" and identifier.is_named_so(column.name)
        if column.kind != "category" and not named:
            continue
        values = table.column(column.name).drop_null()
        distinct = pc.count_distinct(values).as_py()
        if not _ID_SHARE * len(values) <= distinct < len(values) or len(values) < _ENOUGH_ROWS:
            continue
        found.append(
            f"identifier_like: '{column.name}' has {distinct:,} different values in "
            f"{len(values):,} rows; it tells rows apart, a model learns them by heart: "
            f"{_leave_out(column.name)}"
        )
    return found


def _walk(schema: InputSchema, matrix: np.ndarray, target: np.ndarray, rows: int) -> Iterator[str]:
    kinds = {column.name: column for column in schema.columns}
    for index, name in enumerate(encode.names(schema)):
        column = kinds.get(name)
        if column is None:
            continue  # a part of a time
        values = matrix[:, index]
        present = ~np.isnan(values)
        if column.kind == "category" and not column.categories:
            yield (
                f"identifier_like: no text in '{name}' occurs twice, so it teaches nothing: "
                f"{_leave_out(name)}"
            )
        elif not present.any():
            yield f"all_missing: '{name}' has no value"
        elif (values[present] == values[present][0]).all():
            if present.all():
                yield f"constant_column: '{name}' has one value"
        elif _is_near_constant(values):
            yield (
                f"near_constant: '{name}' has one value in all but {_others(values):,} of "
                f"{len(values):,} rows looked at; there is next to nothing to learn from it"
            )
        elif column.kind == "integer" and _counts_rows(values, rows):
            yield f"identifier_like: '{name}' is different in every row: {_leave_out(name)}"
        elif present.sum() >= _MIN_ROWS and _gives_away(
            values[present], target[present], schema, is_code=column.kind == "category"
        ):
            yield (
                f"leaking_target: '{name}' alone gives '{schema.target}' almost exactly; "
                "is it known before the prediction is needed"
            )


def _leave_out(name: str) -> str:
    return f"leave it out with --ignore {shlex.quote(name)}"


def _is_near_constant(values: np.ndarray) -> bool:
    return len(values) >= _ENOUGH_ROWS and _others(values) <= (1 - _NEARLY_ALL) * len(values)


def _others(values: np.ndarray) -> int:
    """Return the number of rows without the most frequent value; missing is a value, too."""
    _, counts = np.unique(values, return_counts=True, equal_nan=True)
    return len(values) - int(counts.max())


def _outstanding(schema: InputSchema, matrix: np.ndarray, target: np.ndarray) -> list[str]:
    """Return a warning if one column alone explains nearly all, and every other one far less."""
    if len(target) < _ENOUGH_ROWS:
        return []
    most = max(_FEW, _CELLS // matrix.shape[1])
    matrix, target = matrix[:most], target[:most]
    names = [name.partition(":")[0] for name in encode.names(schema)]
    codes = set(encode.categorical(schema))
    best: dict[str, float] = {}
    for index, name in enumerate(names):
        values = matrix[:, index]
        skill = single_skill.skill(values, target, schema.task, coded=index in codes)
        best[name] = max(skill, best.get(name, 0.0))
    (skill, name), *rest = sorted(((v, k) for k, v in best.items()), reverse=True)
    runner_up = rest[0][0] if rest else 0.0
    least = _OUTSTANDING[schema.task]
    if skill < least or runner_up > _BESIDE * skill or not rest:
        return []
    return [
        f"leaking_target: '{name}' alone explains {skill:.0%} of '{schema.target}', every other "
        f"column at most {runner_up:.0%}; is it known before the prediction is needed"
    ]


def _counts_rows(values: np.ndarray, rows: int) -> bool:
    """Tell whether the values, of all ``rows`` or of a sample of them, are those of a counter."""
    distinct = np.unique(values)
    span = (distinct[-1] - distinct[0]) * len(values) / rows  # of the sample
    return identifier.is_counter(len(values), len(distinct), span)


def _gives_away(
    values: np.ndarray, target: np.ndarray, schema: InputSchema, *, is_code: bool
) -> bool:
    if schema.task == "regression":
        return not is_code and _rank_correlation(values, target) > _PERFECT
    if is_code or len(np.unique(values)) <= len(schema.classes):
        return _share_explained(values, target) > _PERFECT
    ordered = target[np.argsort(values, kind="stable")]
    changes = int((np.diff(ordered) != 0).sum())
    return changes <= max(len(np.unique(target)) - 1, (1 - _PERFECT) * len(target))


def _rank_correlation(values: np.ndarray, target: np.ndarray) -> float:
    if (target == target[0]).all():
        return 0.0
    return abs(float(np.corrcoef(_ranks(values), _ranks(target))[0, 1]))


def _ranks(values: np.ndarray) -> np.ndarray:
    return np.unique(values, return_inverse=True)[1].astype(float)


def _share_explained(codes: np.ndarray, target: np.ndarray) -> float:
    """Return the accuracy of the most frequent class of each code."""
    groups, members = np.unique(codes, return_inverse=True)
    if len(groups) * 2 > len(codes):
        return 0.0  # nearly every row has its own code: that is overfitting
    table = np.zeros((len(groups), int(target.max()) + 1))
    np.add.at(table, (members, target.astype(int)), 1)
    return float(table.max(axis=1).sum() / len(target))
