"""Inputs are cut into parts that cover every row once, and are found again in later rows."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlkit.steps.inputs.columns import Column, InputSchema, Kind
from mlkit.steps.performance import cuts

RNG = np.random.default_rng(0)
ROWS = 600
TIMES = pa.array(np.arange(ROWS) * 3_600_000_000, pa.timestamp("us", "UTC"))
GAPS = RNG.random(ROWS) < 0.2
PLANS = [0.4, 0.3, 0.2, *[0.02] * 5]
COLUMNS: dict[str, tuple[Kind, pa.Array]] = {
    "age": ("integer", pa.array(RNG.integers(18, 80, ROWS))),
    "spend": ("number", pa.array(np.where(GAPS, np.nan, RNG.gamma(2, 20, ROWS)))),
    "seats": ("integer", pa.array(RNG.integers(1, 4, ROWS))),
    "plan": ("category", pa.array(RNG.choice(list("abcdefgh"), ROWS, p=PLANS))),
    "active": ("boolean", pa.array(RNG.random(ROWS) < 0.7)),
    "since": ("datetime", TIMES),
    "constant": ("number", pa.array(np.full(ROWS, 3.5))),
    "empty": ("number", pa.nulls(ROWS, pa.float64())),
}  # fmt: skip
TABLE = pa.table({name: column for name, (_, column) in COLUMNS.items()})


def schema(*names: str) -> InputSchema:
    columns = tuple(Column(name=name, kind=COLUMNS[name][0]) for name in names)
    return InputSchema(columns=columns, target="y", task="classification", classes=("no", "yes"))


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("age", 4), ("spend", 5), ("seats", 3), ("plan", 4), ("active", 2), ("since", 4),
        ("constant", 1), ("empty", 1),
    ],
)  # fmt: skip
def test_every_row_is_in_exactly_one_part(name: str, parts: int) -> None:
    found = cuts.of_inputs(schema(name), TABLE)
    assert len(found) == parts
    inside = np.array(list(cuts.places(found, TABLE.column(name))))
    assert (inside.sum(axis=0) == 1).all()
    assert (inside.sum(axis=1) >= cuts.FEWEST).all()


def test_parts_have_names_that_people_read() -> None:
    names = [cut.name for cut in cuts.of_inputs(schema(*COLUMNS), TABLE)]
    assert {
        "seats = 1", "plan = a", "plan = a rare label", "active = true", "spend missing",
        "since 6 to 12 h", "constant = 3.5",
    } <= set(names)  # fmt: skip
    assert any(name.startswith("age below ") for name in names)
    assert len(set(names)) == len(names)


def test_later_rows_of_another_type_find_their_part() -> None:
    found = cuts.of_inputs(schema("seats", "plan"), TABLE)
    by_name = {cut.name: cut for cut in found}
    seats = [by_name["seats = 1"], by_name["seats = 2"]]
    first, second = cuts.places(seats, pa.chunked_array([pa.array(["1", "2.0", None, "9"])]))
    assert first.tolist() == [True, False, False, False]
    assert second.tolist() == [False, True, False, False]
    (rare,) = cuts.places([by_name["plan = a rare label"]], pa.chunked_array([["a", "new", None]]))
    assert rare.tolist() == [False, True, False]


def test_what_really_was_is_cut_by_class_or_quartile() -> None:
    assert [c.labels for c in cuts.of_actuals(schema("age"), ["no"] * 30 + ["yes"] * 25)] == [
        ("no",), ("yes",),
    ]  # fmt: skip
    numbers = InputSchema(columns=(), target="y", task="regression")
    assert len(cuts.of_actuals(numbers, list(range(200)))) == 4


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=80))
def test_any_numbers_are_covered(values: list[float | None]) -> None:
    column = pa.chunked_array([pa.array(values, pa.float64())])
    table = pa.table({"age": column})
    found = cuts.of_inputs(schema("age"), table)
    ranges = [cut for cut in found if cut.kind == "range"]
    if ranges:
        inside = np.array(list(cuts.places(ranges, column))).sum(axis=0)
        assert inside.tolist() == [int(value is not None) for value in values]
