"""Named warnings about input columns that will not help, or help too well."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from mlkit.steps import encode
from mlkit.steps.columns import InputSchema

_SAMPLE: Final = 5_000
_PERFECT: Final = 0.999
_MIN_ROWS: Final = 20


def find(schema: InputSchema, matrix: np.ndarray, target: np.ndarray, *, seed: int) -> list[str]:
    """Return the warnings, each ``"<name>: <text>"``.

    ``all_missing`` and ``constant_column``: nothing to learn from. ``identifier_like``: a text or
    whole number that is different in every row. ``leaking_target``: the column alone gives the
    target almost exactly, so it is probably known only afterwards.
    """
    if len(target) > _SAMPLE:
        chosen = np.random.default_rng(seed).choice(len(target), _SAMPLE, replace=False)
        matrix, target = matrix[chosen], target[chosen]
    return list(_walk(schema, matrix, target))


def _walk(schema: InputSchema, matrix: np.ndarray, target: np.ndarray) -> Iterator[str]:
    kinds = {column.name: column for column in schema.columns}
    for index, name in enumerate(encode.names(schema)):
        column = kinds.get(name)
        if column is None:
            continue  # a part of a time
        values = matrix[:, index]
        present = ~np.isnan(values)
        if column.kind == "category" and not column.categories:
            yield f"identifier_like: no text in '{name}' occurs twice, so it teaches nothing"
        elif not present.any():
            yield f"all_missing: '{name}' has no value"
        elif (values[present] == values[present][0]).all():
            if present.all():
                yield f"constant_column: '{name}' has one value"
        elif column.kind == "integer" and _counts_rows(values):
            yield f"identifier_like: '{name}' is different in every row"
        elif present.sum() >= _MIN_ROWS and _gives_away(
            values[present], target[present], schema, is_code=column.kind == "category"
        ):
            yield (
                f"leaking_target: '{name}' alone gives '{schema.target}' almost exactly; "
                "is it known before the prediction is needed"
            )


def _counts_rows(values: np.ndarray) -> bool:
    """Tell whether whole numbers are all different and lie as dense as a counter's."""
    distinct = np.unique(values)
    spread = distinct[-1] - distinct[0] + 1
    return len(distinct) == len(values) and len(values) >= _MIN_ROWS and spread <= 10 * len(values)


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
    """Return the share of rows that the most frequent class of their code gets right."""
    groups, members = np.unique(codes, return_inverse=True)
    if len(groups) * 2 > len(codes):
        return 0.0  # nearly every row has a code of its own: memory, not knowledge
    table = np.zeros((len(groups), int(target.max()) + 1))
    np.add.at(table, (members, target.astype(int)), 1)
    return float(table.max(axis=1).sum() / len(target))
