import math

import pyarrow as pa
import pytest

from mlkit.steps.quality import profile, table_warnings
from mlkit.steps.tables import dtypes

N = 60


def _names(table: pa.Table, **roles: str) -> list[str]:
    found = table_warnings.warnings(
        table, profile.describe(table), target=roles.get("target"), time=roles.get("time"),
        entity=roles.get("entity"),
    )  # fmt: skip
    return [line.partition(":")[0] for line in found]


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ([7] * N, "constant_column"),
        (pa.nulls(N, dtypes.NUMBER), "all_missing_column"),
        ([*map(str, range(N // 2)), *["?"] * (N // 2)], "mixed_types"),
        ([f"u{i}" for i in range(N)], "identifier_column"),
        (list(range(N)), "identifier_column"),
        ([float(2**63), *[1.0] * (N - 1)], "big_number"),
        (["31.01.2026", "01.02.2026"] * (N // 2), "date_as_text"),
    ],
)
def test_what_is_odd_about_a_column_has_a_name(values: object, name: str) -> None:
    table = pa.table({"x": values, "i": [i % 7 + i % 11 * 10 for i in range(N)]})
    assert name in _names(table, target="i")


@pytest.mark.parametrize("roles", [{"target": "id"}, {"target": "y", "entity": "id"}, {}])
def test_an_id_that_no_model_learns_from_is_no_matter(roles: dict[str, str]) -> None:
    table = pa.table({"id": list(range(N)), "y": ["a", "b"] * (N // 2)})
    assert "identifier_column" not in _names(table, **roles)


def test_an_id_is_named_with_how_to_leave_it_out() -> None:
    table = pa.table({"offer id": list(range(N)), "y": ["a", "b"] * (N // 2)})
    found = table_warnings.warnings(table, profile.describe(table), target="y", time=None)
    assert found == [
        "identifier_column: 'offer id' differs in every row; a model learns it by heart: leave it "
        "out with mlkit train --ignore 'offer id'"
    ]


@pytest.mark.parametrize("name", ["a;b", "drop`", "=cmd()", "-x", "a\\b"])
def test_a_column_name_that_tools_stumble_over_is_named(name: str) -> None:
    assert "odd_name" in _names(pa.table({name: [1, 2]}))


@pytest.mark.parametrize("name", ["age", "Größe", "delay (min)", "a.b-c/d %", "_id", "1st"])
def test_an_ordinary_column_name_is_not(name: str) -> None:
    assert "odd_name" not in _names(pa.table({name: [1, 2]}))


def test_an_ordinary_table_gives_no_warning() -> None:
    table = pa.table(
        {
            "age": [20 + i * 37 % 50 for i in range(N)],
            "price": [i * 1.37 for i in range(N)],
            "plan": ["a", "b", "c"] * (N // 3),
            "day": ["2026-01-01"] * (N // 2) + ["2026-01-02"] * (N // 2),
        }
    )
    assert _names(table, target="plan") == []


def test_mixed_types_name_the_first_value_that_is_not_a_number() -> None:
    table = pa.table({"n": ["1", "2", None, "n.a."] * 20})
    (line, *_) = table_warnings.warnings(table, profile.describe(table), target=None, time=None)
    assert "20 of 60 values are not numbers, first 'n.a.' in row 4" in line


def test_repeated_rows_are_counted() -> None:
    table = pa.table({"a": [1, 2, 1, 1], "b": ["x", "y", "x", "z"]})
    (line,) = table_warnings.warnings(table, profile.describe(table), target=None, time=None)
    assert line == "duplicated_rows: 1 of 4 rows repeat an earlier one"


def test_a_target_with_gaps_with_one_value_or_with_a_copy_is_named() -> None:
    table = pa.table({"y": ["a", None, "b", "a"], "z": ["a", None, "b", "a"], "n": [1, 2, 3, 5]})
    assert set(_names(table, target="y")) == {"missing_target", "target_copy"}
    assert "constant_target" in _names(pa.table({"y": ["a", "a"]}), target="y")


def test_infinite_numbers_become_missing_ones_and_are_counted() -> None:
    table, lines = table_warnings.without_infinities(
        pa.table({"x": [1.0, math.inf, -math.inf, None]})
    )
    assert table.column("x").to_pylist() == [1.0, None, None, None]
    assert lines == ["infinite: 'x' has 2 infinite values; kept as missing"]


def test_a_thousand_odd_columns_give_ten_lines_and_a_count() -> None:
    table = pa.table({f"c{i}": [1, 1] for i in range(1001)})
    lines = table_warnings.warnings(table, profile.describe(table), target=None, time=None)
    assert "constant_column: and 991 more columns" in lines
    assert len(lines) == 12
