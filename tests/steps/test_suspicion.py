from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mlkit.steps import encode, suspicion

ROWS = 200
RNG = np.random.default_rng(0)
PRICE = RNG.gamma(2.0, 10.0, ROWS)
BOUGHT = np.where(RNG.random(ROWS) < 0.4, "yes", "no")


def warnings(target: Any, **columns: Any) -> Any:
    values = PRICE if target == "price" else BOUGHT
    table = pa.table({**columns, target: values})
    task = "regression" if target == "price" else "classification"
    schema = encode.infer_schema(table, target=target, task=task)
    matrix = encode.matrix_of_table(schema, table)
    codes = values if target == "price" else (values == "yes").astype(int)
    return [text.split(":")[0] for text in suspicion.find(schema, matrix, codes, seed=0)]


@pytest.mark.parametrize(
    ("target", "column", "name"),
    [
        ("price", [7] * ROWS, "constant_column"),
        ("price", pa.array([None] * ROWS, pa.float64()), "all_missing"),
        ("price", [f"user-{i}" for i in range(ROWS)], "identifier_like"),
        ("price", list(range(1000, 1000 + ROWS)), "identifier_like"),
        ("price", PRICE * 1.19 + 2, "leaking_target"),
        ("price", np.log(PRICE), "leaking_target"),
        ("bought", np.where(BOUGHT == "yes", "invoice", "none"), "leaking_target"),
        ("bought", (BOUGHT == "yes").astype(int), "leaking_target"),
        ("bought", (BOUGHT == "yes") * 5 + RNG.random(ROWS), "leaking_target"),
    ],
)
def test_a_suspicious_column_is_named(target: Any, column: Any, name: str) -> None:
    assert warnings(target, x=column) == [name]


@pytest.mark.parametrize(
    ("target", "column"),
    [
        ("price", PRICE + RNG.normal(size=ROWS) * 5),
        ("price", RNG.integers(0, 5, ROWS)),
        ("bought", RNG.random(ROWS)),
        ("bought", [f"street {i % 60}" for i in range(ROWS)]),
        ("bought", RNG.permutation(10_000)[:ROWS]),
    ],
)
def test_an_honest_column_is_not(target: Any, column: Any) -> None:
    assert warnings(target, x=column) == []
