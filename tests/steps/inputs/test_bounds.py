"""Numbers beyond what a model can use are named by column and row."""

import numpy as np
import pyarrow as pa
import pytest

from mlkit.errors import InvalidInputError
from mlkit.steps.inputs import bounds

DBL_MAX = float(np.finfo(float).max)


@pytest.mark.parametrize("value", [DBL_MAX, -DBL_MAX, 1e39, -3.5e38])
def test_the_first_value_beyond_the_bound_is_named(value: float) -> None:
    table = pa.table({"fine": [1.0, 2.0, 3.0], "x": [1.0, None, value]})
    with pytest.raises(InvalidInputError, match=r"column 'x' has .* in row 3, .*empty"):
        bounds.refuse(table, ["fine", "x"], bounds.INPUT)


@pytest.mark.parametrize(
    "values",
    [
        [3.4e38, -3.4e38, 5e-324, 0.0],
        [float("nan"), float("inf"), None],  # missing
        [2**63 - 1, -(2**63)],
        ["1e308"],
        [],
    ],
)
def test_what_can_be_learned_from_is_not_refused(values: list[object]) -> None:
    bounds.refuse(pa.table({"x": pa.array(values)}), ["x"], bounds.INPUT)
