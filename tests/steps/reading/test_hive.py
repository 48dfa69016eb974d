"""Columns that the names of folders hold."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlkit.errors import InvalidInputError
from mlkit.steps.reading import source_file
from mlkit.steps.reading.options import Reading
from mlkit.steps.tables import dtypes


def _written(tmp_path: Path, *folders: str, **columns: Any) -> Path:
    root = tmp_path / "sales"
    for number, folder in enumerate(folders):
        (root / folder).mkdir(parents=True, exist_ok=True)
        table = pa.table(columns or {"x": [number]})
        pq.write_table(table, root / folder / f"part-{number}.parquet")
    return root


def _rows(root: Path, types: Any = None) -> list[dict[str, Any]]:
    table = source_file.load(root, Reading(root, types=types or {})).table
    found: list[dict[str, Any]] = table.select(table.column_names).to_pylist()
    return found


@pytest.mark.parametrize(
    ("values", "read"),
    [
        (["EU", "US"], ["EU", "US"]),
        (["2", "10"], [10, 2]),
        (["01", "10"], ["01", "10"]),
        (["NA", "__HIVE_DEFAULT_PARTITION__"], ["NA", None]),
        (["a%2Fb%20c", "x"], ["a/b c", "x"]),
        (["2026-01-31", "2026-02-01"], ["2026-01-31", "2026-02-01"]),
    ],
)
def test_a_folder_named_key_and_value_is_a_column(
    tmp_path: Path, values: list[str], read: list[Any]
) -> None:
    root = _written(tmp_path, *(f"k={value}" for value in values))
    assert [row["k"] for row in _rows(root)] == read


def test_folders_in_folders_are_columns_in_their_order(tmp_path: Path) -> None:
    root = _written(tmp_path, "year=2026/region=EU", "year=2026/region=US", "year=2027/region=EU")
    assert _rows(root)[2] == {"x": 2, "year": 2027, "region": "EU"}


def test_what_the_rules_call_text_stays_text(tmp_path: Path) -> None:
    root = _written(tmp_path, "store=7", "store=8")
    assert [row["store"] for row in _rows(root, {"store": dtypes.TEXT})] == ["7", "8"]


def test_files_below_other_columns_are_refused_by_name(tmp_path: Path) -> None:
    root = _written(tmp_path, "region=EU", "land=US")
    with pytest.raises(InvalidInputError, match="not below the same columns: land and region"):
        _rows(root)
    with pytest.raises(InvalidInputError, match="has a column 'region', and so have"):
        _rows(_written(tmp_path / "twin", "region=EU", region=["US"]))


def test_a_column_that_begins_with_an_underscore_is_one_and_what_writers_leave_is_not(
    tmp_path: Path,
) -> None:
    root = _written(tmp_path, "_id=1", "_id=2", "_delta_log", "_id=2/.part")
    assert [row["_id"] for row in _rows(root)] == [1, 2]


def test_folders_that_name_a_column_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="'a' twice"):
        _rows(_written(tmp_path, "a=1/a=2"))


def test_a_folder_that_is_a_link_is_not_left_out_in_silence(tmp_path: Path) -> None:
    root = _written(tmp_path, "k=1", "elsewhere/k=2")
    (root / "elsewhere").rename(tmp_path / "elsewhere")
    (root / "k=2").symlink_to(tmp_path / "elsewhere" / "k=2")
    with pytest.raises(InvalidInputError, match=r"k=2 is a link to a folder, whose files"):
        _rows(root)
    (root / "k=2").unlink()
    (root / "k=1" / "part-2.parquet").symlink_to(tmp_path / "elsewhere" / "k=2" / "part-1.parquet")
    assert _rows(root) == [{"x": 0, "k": 1}, {"x": 1, "k": 1}]


@pytest.mark.parametrize("name", ["b.PARQUET", "b.parq", "b.pq", "b", "b.parquet.old"])
def test_a_file_that_begins_as_parquet_does_is_read_whatever_it_is_called(
    tmp_path: Path, name: str
) -> None:
    root = _written(tmp_path, "", "")
    (root / "part-1.parquet").rename(root / name)
    (root / "README.md").write_text("two files\n")
    (root / "part-0.parquet.md5").write_text("ab\n")
    assert sorted(row["x"] for row in _rows(root)) == [0, 1]


@pytest.mark.parametrize("name", ["b.csv", "b.CSV.gz", "b.tsv", "b.Parquet", "gone.parquet"])
def test_other_files_with_rows_are_not_left_out_in_silence(tmp_path: Path, name: str) -> None:
    root = _written(tmp_path, "")
    if name == "gone.parquet":
        (root / name).symlink_to(tmp_path / "nowhere")
    else:
        (root / name).write_text("x\n1\n")
    with pytest.raises(InvalidInputError, match=f"{name} is no Parquet file, and would be left"):
        _rows(root)


def test_a_folder_that_cannot_be_read_is_not_left_out_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = _written(tmp_path, "k=1", "k=2")
    monkeypatch.setattr("os.access", lambda path, _mode: path != root / "k=2")
    with pytest.raises(InvalidInputError, match="k=2 cannot be read, and its files"):
        _rows(root)


@pytest.mark.parametrize("folder", ["k=%FF", "%FF=k"])
def test_percent_signs_that_are_no_utf8_are_refused(tmp_path: Path, folder: str) -> None:
    with pytest.raises(InvalidInputError, match=f"the folder '{folder}' .* is not UTF-8"):
        _rows(_written(tmp_path, folder))
