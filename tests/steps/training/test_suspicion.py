from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mlkit.steps.inputs import encode, schema_inference
from mlkit.steps.training import suspicion

ROWS = 200
RNG = np.random.default_rng(0)
PRICE = RNG.gamma(2.0, 10.0, ROWS)
BOUGHT = np.where(RNG.random(ROWS) < 0.4, "yes", "no")


def warnings(target: Any, **columns: Any) -> Any:
    values = PRICE if target == "price" else BOUGHT
    table = pa.table({**columns, target: values})
    task = "regression" if target == "price" else "classification"
    schema = schema_inference.infer_schema(table, target=target, task=task)
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
        ("price", [7.0] * (ROWS - 1) + [8.0], "near_constant"),
        ("bought", [True] * (ROWS - 1) + [False], "near_constant"),
        ("bought", (BOUGHT == "yes") ^ (np.arange(ROWS) % 40 == 7), "leaking_target"),
    ],
)
def test_a_suspicious_column_is_named(target: Any, column: Any, name: str) -> None:
    assert warnings(target, x=column, other=RNG.random(ROWS)) == [name]


@pytest.mark.parametrize(
    ("target", "column"),
    [
        ("price", PRICE + RNG.normal(size=ROWS) * 5),
        ("price", RNG.integers(0, 5, ROWS)),
        ("bought", RNG.random(ROWS)),
        ("bought", [f"street {i % 60}" for i in range(ROWS)]),
        ("bought", RNG.permutation(10_000)[:ROWS]),
        ("bought", RNG.random(ROWS) < 0.02),
        ("price", PRICE + RNG.normal(size=ROWS) * 4),
        ("bought", (BOUGHT == "yes") ^ (RNG.random(ROWS) < 0.2)),
    ],
)
def test_an_honest_column_is_not(target: Any, column: Any) -> None:
    assert warnings(target, x=column, other=RNG.random(ROWS)) == []


def test_a_counter_is_named_however_few_of_its_rows_are_looked_at() -> None:
    rng = np.random.default_rng(1)
    columns = {"n": np.arange(60_000), "sparse": np.arange(60_000) * 3, "y": rng.random(60_000)}
    schema = schema_inference.infer_schema(pa.table(columns), target="y", task="regression")
    matrix = encode.matrix_of_table(schema, pa.table(columns))
    (said,) = suspicion.find(schema, matrix, columns["y"], seed=0)
    assert said.startswith("identifier_like: 'n' is different in every row")


@pytest.mark.parametrize(("noise", "found"), [(1.0, True), (10.0, False)])
def test_a_number_that_is_the_target_but_for_some_noise_is_named(noise: float, found: bool) -> None:
    rng = np.random.default_rng(1)
    price = rng.gamma(2.0, 10.0, 2_000)
    nearly = price * 1.19 + rng.normal(size=2_000) * noise
    table = pa.table({"nearly": nearly, "other": price + rng.normal(size=2_000) * 30, "y": price})
    schema = schema_inference.infer_schema(table, target="y", task="regression")
    said = suspicion.find(schema, encode.matrix_of_table(schema, table), price, seed=0)
    assert [text[:30] for text in said] == ["leaking_target: 'nearly' alone"] * found


def test_a_column_that_is_not_alone_with_what_it_knows_is_no_leak() -> None:
    nearly = PRICE * 1.19 + RNG.normal(size=ROWS) * 0.8
    strong = PRICE + RNG.normal(size=ROWS) * 6
    assert warnings("price", x=nearly, y=strong) == []


def _identifiers(rows: int = 400, **columns: Any) -> list[str]:
    table = pa.table({**columns, "y": RNG.random(rows)})
    schema = schema_inference.infer_schema(table, target="y", task="regression")
    return suspicion.identifiers(schema, table)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("customer", [f"c{n}" for n in RNG.integers(0, 500, 400)]),
        ("customer_id", RNG.permutation(10**6)[np.r_[:390, :10]]),
    ],
)
def test_a_column_that_tells_rows_apart_is_named_with_its_values(name: str, column: Any) -> None:
    (found,) = _identifiers(**{name: column})
    assert found.startswith(f"identifier_like: '{name}' has ")


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("street", [f"street {n % 60}" for n in range(400)]),
        ("minutes", RNG.permutation(10**6)[np.r_[:390, :10]]),
        ("store_id", RNG.integers(0, 40, 400)),
    ],
)
def test_a_column_that_says_what_rows_are_is_not(name: str, column: Any) -> None:
    assert _identifiers(**{name: column}) == []
