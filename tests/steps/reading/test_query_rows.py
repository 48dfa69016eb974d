"""Values of a database become the types of a table."""

from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandera.pandas  # noqa: F401  # which changes what Arrow makes of times with a zone
import pytest

from mlkit.errors import InvalidInputError
from mlkit.steps.reading import query_rows
from mlkit.steps.tables import dtypes


def test_a_time_with_a_zone_is_the_moment_that_it_names(tmp_path: Path) -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    zones = [timezone(timedelta(hours=hours)) for hours in (9, -5)]
    rows = [[noon.astimezone(zone)] for zone in zones]
    table = query_rows.load(["at"], [rows], tmp_path, "the query")
    assert table.column("at").to_pylist() == [noon, noon]


def test_a_time_of_day_keeps_its_zone(tmp_path: Path) -> None:
    ten = [time(10, tzinfo=timezone(timedelta(hours=hours))) for hours in (2, -5)]
    table = query_rows.load(["at"], [[[each] for each in ten]], tmp_path, "the query")
    assert table.column("at").to_pylist() == ["10:00:00+02:00", "10:00:00-05:00"]


def test_a_value_that_no_column_holds_is_named_with_its_row(tmp_path: Path) -> None:
    chunks = [[[1]], [[2], [b"x"]]]
    with pytest.raises(InvalidInputError, match=r"column 'n' has a bytes in row 3; cast it"):
        query_rows.load(["n"], chunks, tmp_path, "the query")


def test_whole_decimals_keep_all_their_digits(tmp_path: Path) -> None:
    rows = [[Decimal(2**53 + 1), Decimal("1.50")], [Decimal(-(2**63)), Decimal("2.00")]]
    table = query_rows.load(["id", "price"], [rows], tmp_path, "the query")
    assert table.column("id").to_pylist() == [2**53 + 1, -(2**63)]
    assert table.column("price").to_pylist() == [1.5, 2.0]


def test_whole_decimals_with_places_are_numbers_like_the_rest_of_their_column(
    tmp_path: Path,
) -> None:
    table = query_rows.load(["price"], [[[Decimal("2.00")]]], tmp_path, "the query")
    assert table.column("price").type == dtypes.NUMBER


@pytest.mark.parametrize(
    ("chunks", "row"),
    [
        ([[[1], [2**63]]], 2),
        ([[[Decimal(1)]], [[Decimal("1E+400")]]], 2),
        ([[[0.5], [None], [2**53 + 1]]], 3),
        ([[[0.5]], [[1], [2**53 + 1]]], 3),
        ([[[2**53 + 1]], [[0.5]]], 1),
    ],
)
def test_an_integer_that_would_become_another_number_is_refused_with_its_row(
    tmp_path: Path, chunks: list[list[list[Any]]], row: int
) -> None:
    with pytest.raises(
        InvalidInputError, match=rf"column 'n' has .* in row {row}\b.* select it as text"
    ):
        query_rows.load(["n"], chunks, tmp_path, "the query")
