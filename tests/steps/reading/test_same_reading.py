"""A CSV file means the same where a dataset takes it and where a model does."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlkit.errors import InvalidInputError
from mlkit.provenance import Stated
from mlkit.steps.reading import csv_dialect, file_batches, source_file
from mlkit.steps.reading.file_batches import Expected
from mlkit.steps.reading.options import Reading
from mlkit.steps.tables import casts, dtypes

_CELLS = [
    "", "NA", "null", "-", "7", "007", "+7", " 7", "7 ", "-7", "1.5", "1,5", "1.250", "1.250,5",
    "1,250", "1,250.5", "0", "1", "true", "FALSE", "1E5", "1e-5", "0x1F", "00.5", "2026-01-31",
    "2026-01-31 10:00:00+02:00", "31.01.2026", "x", " - ", "9223372036854775808", "1_000", ".5",
    "5.0", "1'000", "12345678901234567",
]  # fmt: skip
_TYPES = [dtypes.INTEGER, dtypes.NUMBER, dtypes.BOOLEAN, dtypes.TEXT, dtypes.DATETIME]
_MARKS = [(".", None), (".", ","), (",", None), (",", "."), (".", "'")]
_GERMAN = (",", ".")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv")


def _as_dataset(file: Path, said: Stated, kind: pa.DataType) -> list[object] | None:
    found = source_file.load(file, Reading(file.parent, said, {"v": kind})).table
    result = casts.cast(found.column("v"), kind)
    return None if result.unfit else result.column.to_pylist()


def _for_model(file: Path, said: Stated, kind: pa.DataType) -> list[object] | None:
    try:
        (table,) = file_batches.read(file, Expected({"v": kind}, said), 100)
    except InvalidInputError:
        return None
    values: list[object] = table.column("v").to_pylist()
    return values


@settings(max_examples=250, deadline=None)
@given(
    cells=st.lists(st.sampled_from(_CELLS), min_size=1, max_size=3),
    kind=st.sampled_from(_TYPES),
    marks=st.sampled_from(_MARKS),
    missing=st.sampled_from([None, ("-",), ("NA",)]),
)
@example(["120.000", "2.5"], dtypes.NUMBER, _GERMAN, None)
@example(["120.000", "x"], dtypes.INTEGER, _GERMAN, None)
@example(["true", "false"], dtypes.INTEGER, _MARKS[0], None)
@example([" - ", " - "], dtypes.BOOLEAN, _MARKS[0], ("-",))
@example(["007", " NA"], dtypes.NUMBER, _MARKS[0], None)
def test_a_dataset_and_a_model_read_the_same_values_or_none(
    folder: Path,
    cells: list[str],
    kind: pa.DataType,
    marks: tuple[str, str | None],
    missing: tuple[str, ...] | None,
) -> None:
    decimal, thousands = marks
    said = csv_dialect.checked(
        Stated(delimiter=";", decimal=decimal, thousands=thousands, missing=missing, header=True)
    )
    file = folder / "rows.csv"
    file.write_text("v;w\n" + "".join(f"{cell};w\n" for cell in cells))
    assert _as_dataset(file, said, kind) == _for_model(file, said, kind)


def test_a_number_of_another_dialect_is_shown_with_the_decimal_mark(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("v;w\n120.000;1\n2.5;1\nx;1\n")
    said = csv_dialect.checked(Stated(decimal=",", thousands="."))
    found = source_file.load(file, Reading(tmp_path, said, {"v": dtypes.NUMBER})).table
    assert found.column("v").to_pylist() == ["120000", "2.5 (decimal mark is ',')", "x"]
