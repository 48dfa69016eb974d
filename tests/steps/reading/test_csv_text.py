"""Rows that are written as CSV are read as the same rows, types included."""

from datetime import UTC
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlkit.steps.reading import csv_text, source_file
from mlkit.steps.reading.options import Reading
from mlkit.steps.tables import dtypes

_MARKS = [
    "", "NA", "N/A", "n/a", "NULL", "null", "NaN", "nan", "#N/A", "None", " ", "  x ", "007", "7",
    "+41791234567", "0x1F", "1E5", "1e-5", "2.50", "true", "2026-01-31", "10:00", "inf", '"', ",",
    "a\nb", "a\r\nb", "\r", ";", "-", "=1+1", "\ufeffx", "é", "1_000", "12345678901234567890",
]  # fmt: skip
_TEXT = st.one_of(
    st.sampled_from(_MARKS),
    st.text(
        st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=["Cs"]),
        max_size=8,
    ),
)
_KINDS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    dtypes.TEXT: _TEXT,
    dtypes.NUMBER: st.one_of(
        st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300),
        st.integers(-1000, 1000).map(float),
    ),
    dtypes.INTEGER: st.integers(-(2**63), 2**63 - 1),
    dtypes.BOOLEAN: st.booleans(),
    dtypes.DATETIME: st.datetimes().map(  # of the years 1 to 9999
        lambda moment: moment.replace(tzinfo=UTC)
    ),
}


@st.composite
def _tables(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.integers(1, 6))
    columns = {"row": pa.array(range(rows), dtypes.INTEGER)}
    for place, kind in enumerate(draw(st.lists(st.sampled_from(list(_KINDS)), max_size=4))):
        values = draw(st.lists(st.none() | _KINDS[kind], min_size=rows, max_size=rows))
        values[0] = draw(_KINDS[kind])  # of a column without any value no file knows the type
        columns[f"c{place}"] = pa.array(values, kind)
    return pa.table(columns)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv")


def _there_and_back(table: pa.Table, folder: Path) -> pa.Table:
    file = folder / "rows.csv"
    content = b"".join(map(csv_text.lines, table.to_batches(max_chunksize=3)))
    file.write_bytes(csv_text.header(table.column_names) + content)
    found = source_file.load(file, Reading(folder)).table
    return found.select(table.column_names)


@settings(max_examples=150, deadline=None)
@given(table=_tables())
@example(pa.table({"a": ["NA", None, ""], "b": [1.0, 2.0, None]}))
@example(pa.table({"a": ["7", "007", "7"], "b": [True, None, False]}))
def test_what_is_written_is_read_as_the_same_rows(folder: Path, table: pa.Table) -> None:
    assert _there_and_back(table, folder).equals(table)


@pytest.mark.parametrize("texts", [["", ""], ["", None, ""], [" ", ""], ["NA", ""]])
def test_texts_without_a_letter_are_texts_where_nothing_else_is(
    folder: Path, texts: list[str | None]
) -> None:
    table = pa.table({"a": texts})
    assert _there_and_back(table, folder).equals(table)


def test_a_single_column_keeps_its_missing_rows(folder: Path) -> None:
    table = pa.table({"x": [1.5, None, None, 2.0]})
    assert _there_and_back(table, folder).equals(table)
