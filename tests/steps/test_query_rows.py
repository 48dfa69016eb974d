"""Values of a database become the types of a table."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pandera.pandas  # noqa: F401  # which changes what Arrow makes of times with a zone
import pytest

from mlkit.errors import InvalidInputError
from mlkit.steps import query_rows


def test_a_time_with_a_zone_is_the_moment_that_it_names(tmp_path: Path) -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    zones = [timezone(timedelta(hours=hours)) for hours in (9, -5)]
    rows = [[noon.astimezone(zone)] for zone in zones]
    table = query_rows.load(["at"], [rows], tmp_path, "the query")
    assert table.column("at").to_pylist() == [noon, noon]


def test_a_value_that_no_column_holds_is_named_with_its_row(tmp_path: Path) -> None:
    chunks = [[[1]], [[2], [b"x"]]]
    with pytest.raises(InvalidInputError, match=r"column 'n' has a bytes in row 3; cast it"):
        query_rows.load(["n"], chunks, tmp_path, "the query")
