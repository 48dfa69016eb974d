import gzip
import math
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.errors import InvalidInputError
from mlkit.provenance import Stated
from mlkit.steps.reading import csv_dialect, csv_rows, file_batches, frames, source_file
from mlkit.steps.reading.file_batches import Expected
from mlkit.steps.reading.options import Reading
from mlkit.steps.tables import dtypes, stored_table
from mlkit.steps.tables.tabular import Tabular


def _file(tmp_path: Path, content: bytes, name: str = "rows.csv") -> Path:
    file = tmp_path / name
    file.write_bytes(content)
    return file


def _load(path: Path, scratch: Path, **stated: str) -> Tabular:
    scratch.mkdir(exist_ok=True)
    reading = Reading(scratch, csv_dialect.checked(Stated(**stated)))
    return source_file.load(path, reading).table


def _whole(table: Tabular) -> pa.Table:
    return table.select(table.column_names)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few rows be many blocks, and everything too much for the memory."""
    monkeypatch.setattr(csv_rows, "BATCH_BLOCK_BYTES", 48)
    monkeypatch.setattr(stored_table, "IN_MEMORY_BYTES", 0)


_WRITTEN = st.one_of(
    st.sampled_from([
        "", "NA", "null", "0", "1", "5", " 7", "-3", "007", "true", "False", "2026-01-31",
        "2026-01-31T10:00:00", "2026-01-31T10:00:00Z", "2026-01-31T10:00:00+02:00",
        "2026-01-31T10:00:00.5", "2026-01-31 10:00", "10:00", "10:00:01", "1.5", "1e5", "inf",
        "nan", "9223372036854775807", "9223372036854775808", "x", '"', "a,b", "12:61", "0001-01-01",
    ]),
    st.integers(-(2**64), 2**64).map(str),
    st.floats().map(repr),
)  # fmt: skip
_COLUMNS = st.lists(
    st.one_of(
        st.lists(_WRITTEN, min_size=30, max_size=30),
        st.tuples(_WRITTEN, _WRITTEN, st.integers(0, 29)).map(
            lambda found: [found[0]] * found[2] + [found[1]] * (30 - found[2])
        ),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(_COLUMNS)
def test_block_by_block_gives_what_the_whole_file_gives(
    tmp_path_factory: pytest.TempPathFactory, columns: list[list[str]]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    lines = [",".join(f"c{place}" for place in range(len(columns) + 1))]
    lines += [
        ",".join([str(number), *('"' + cell.replace('"', '""') + '"' for cell in row)])
        for number, row in enumerate(zip(*columns, strict=True))
    ]
    file = _file(folder, ("\n".join(lines) + "\n").encode(), "property.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_rows, "BATCH_BLOCK_BYTES", 256)
        patch.setattr(stored_table, "IN_MEMORY_BYTES", 0)
        table = _whole(_load(file, folder / "scratch"))
    expected = frames.read_table(file)
    assert table.schema == expected.schema
    assert _comparable(table) == _comparable(expected)
    frames.write_parquet(table, folder / "one.parquet")
    frames.write_parquet(expected, folder / "other.parquet")
    assert (folder / "one.parquet").read_bytes() == (folder / "other.parquet").read_bytes()


def _comparable(table: pa.Table) -> list[list[object]]:
    return [[repr(value) for value in column.to_pylist()] for column in table.columns]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1"] * 50 + ["2.5"], dtypes.NUMBER),
        (["1"] * 50 + ["x"], dtypes.TEXT),
        ([""] * 50 + ["7"], dtypes.INTEGER),
        ([""] * 50, dtypes.NUMBER),
        (["1", "0"] * 25 + ["true"], dtypes.BOOLEAN),
        (["5"] * 50 + ["true"], dtypes.TEXT),
        (["2026-01-31"] * 50 + ["2026-01-31T10:00:00"], dtypes.DATETIME),
        (["1"] * 50 + ["99999999999999999999"], dtypes.TEXT),
        (["1.5"] * 50 + ["99999999999999999999"], dtypes.NUMBER),
    ],
)
def test_a_type_that_changes_after_the_first_block_is_the_one_of_all_values(
    tmp_path: Path, small_blocks: None, values: list[str], kind: pa.DataType
) -> None:
    rows = "".join(f"{number},{value}\n" for number, value in enumerate(values))
    file = _file(tmp_path, f"n,v\n{rows}".encode())
    table = _load(file, tmp_path / "scratch")
    assert table.column("v").type == kind
    assert _whole(table).equals(frames.read_table(file))


def test_what_does_not_fit_into_memory_is_on_disk_and_gives_the_same_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "GROUP_ROWS", 1_000)
    rows = "".join(f"{n},{n / 7},t{n % 5},{n % 3 == 0},a.{n}\n" for n in range(20_500))
    file = _file(tmp_path, f"i,x,t,b,t.x\n{rows}".encode())
    monkeypatch.setattr(stored_table, "IN_MEMORY_BYTES", 1)
    monkeypatch.setattr(stored_table, "_GROUP_BYTES", 100_000)
    stored = _load(file, tmp_path / "scratch")
    assert isinstance(stored, stored_table.StoredTable)
    whole = frames.read_table(file)
    assert stored.num_rows == 20_500
    assert stored.column_names == whole.column_names
    assert stored.column("t").equals(whole["t"])
    assert stored.select(["t.x", "i"]).equals(whole.select(["t.x", "i"]))
    frames.write_parquet(stored, tmp_path / "stored.parquet")
    frames.write_parquet(whole, tmp_path / "whole.parquet")
    written = (tmp_path / "whole.parquet").read_bytes()
    assert (tmp_path / "stored.parquet").read_bytes() == written
    pq.write_table(
        whole.replace_schema_metadata(None).combine_chunks(), tmp_path / "plain.parquet",
        version="2.6", compression="zstd", compression_level=3, row_group_size=1_000,
        data_page_version="1.0", store_schema=False,
    )  # fmt: skip
    assert (tmp_path / "plain.parquet").read_bytes() == written


@pytest.mark.parametrize("compression", ["gz", "zst"])
def test_a_compressed_file_gives_the_same_rows(tmp_path: Path, compression: str) -> None:
    content = b"a,b\n1,x\n2,y\n"
    packed = gzip.compress(content) if compression == "gz" else pa.compress(
        content, "zstd", asbytes=True
    )  # fmt: skip
    plain = _whole(_load(_file(tmp_path, content), tmp_path / "scratch"))
    file = _file(tmp_path, packed, f"rows.csv.{compression}")
    assert _whole(_load(file, tmp_path / "scratch")).equals(plain)
    assert frames.read_table(file).equals(plain)
    cut = _file(tmp_path, packed[: len(packed) - 6], "cut")
    with pytest.raises(InvalidInputError, match=r"damaged|cannot read"):
        _load(cut, tmp_path / "scratch")


def test_numbers_are_read_in_groups_of_digits_if_that_is_said(
    tmp_path: Path, small_blocks: None
) -> None:
    content = b'n,x,t,m\n"1,234",5,"1,2","1,234.5"\n999,"2,000,000","1,23",\n"-12,345",7,,"7"\n'
    file = _file(tmp_path, content)
    table = _whole(_load(file, tmp_path / "scratch", thousands=","))
    assert table.to_pydict() == {
        "n": [1234, 999, -12345],
        "x": [5, 2_000_000, 7],
        "t": ["1,2", "1,23", None],
        "m": [1234.5, None, 7.0],
    }


def test_a_german_table_is_read_as_it_is_said(tmp_path: Path, small_blocks: None) -> None:
    text = "größe;preis;n\n1,5;1.234,50;1.000\n2;2.000,00;20\n"
    file = _file(tmp_path, text.encode("cp1252"))
    table = _whole(_load(file, tmp_path / "scratch", encoding="latin-1", thousands="."))
    assert table.to_pydict() == {"größe": [1.5, 2.0], "preis": [1234.5, 2000.0], "n": [1000, 20]}


def test_an_encoding_is_not_guessed_but_suggested(tmp_path: Path) -> None:
    file = _file(tmp_path, "name,n\nJo,1\nJosé García,2\n".encode("latin-1"))
    message = r"is not UTF-8: byte 0xe9 in line 3; if 'José García,2' reads well, give --encoding"
    with pytest.raises(InvalidInputError, match=message):
        _load(file, tmp_path / "scratch")


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"encoding": "klingon"}, "no text encoding 'klingon'"),
        ({"encoding": "rot13"}, "no text encoding 'rot13'"),
        ({"delimiter": ";;"}, "';;' cannot be the delimiter mark"),
        ({"delimiter": "€"}, "not ASCII"),
        ({"decimal": "5"}, "'5' cannot be the decimal mark"),
        ({"decimal": ",", "thousands": ","}, "both the decimal and thousands"),
    ],
)
def test_what_cannot_be_is_refused(stated: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        csv_dialect.checked(Stated(**stated))


def test_the_files_of_a_folder_are_one_table(tmp_path: Path, small_blocks: None) -> None:
    folder = tmp_path / "parts"
    (folder / "2026").mkdir(parents=True)
    (folder / "2025").mkdir()
    pq.write_table(pa.table({"n": [1, 2], "t": ["a", "b"]}), folder / "a.parquet")
    pq.write_table(
        pa.table({"t": pa.nulls(2), "n": [1.5, math.nan]}), folder / "2026" / "b.parquet"
    )
    (folder / "_SUCCESS").touch()
    table = _whole(_load(folder, tmp_path / "scratch"))
    assert sorted(table["n"].drop_null().to_pylist()) == [1.0, 1.5, 2.0]
    assert dict(zip(table.column_names, table.schema.types, strict=True)) == {
        "n": dtypes.NUMBER, "t": dtypes.TEXT,
    }  # fmt: skip
    pq.write_table(pa.table({"n": ["x"], "t": ["a"]}), folder / "c.parquet")
    with pytest.raises(InvalidInputError, match=r"column 'n' is .* in .*; make them one type"):
        _load(folder, tmp_path / "scratch")
    pq.write_table(pa.table({"n": [1]}), folder / "c.parquet")
    with pytest.raises(InvalidInputError, match="only one of them has 't'"):
        _load(folder, tmp_path / "scratch")
    with pytest.raises(InvalidInputError, match="no file named"):
        _load(folder / "2025", tmp_path / "scratch")


def test_unsigned_numbers_beyond_the_signed_ones_are_numbers_in_every_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = pa.table({"u": pa.array([1, 2, 2**64 - 1], pa.uint64()), "v": [1, 2, 3]})
    pq.write_table(large, tmp_path / "u.parquet", row_group_size=1)
    table = _whole(_load(tmp_path / "u.parquet", tmp_path / "scratch"))
    assert table.equals(frames.read_table(tmp_path / "u.parquet"))


def test_a_row_longer_than_a_block_makes_blocks_grow_up_to_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_rows, "BATCH_BLOCK_BYTES", 64)
    monkeypatch.setattr(csv_rows, "BLOCK_BYTES", 4_000)
    content = b"a,b\n" + b"1,y\n" * 100 + b"2," + b"x" * 1_000 + b"\n"
    assert _load(_file(tmp_path, content), tmp_path / "scratch").num_rows == 101
    longer = content + b"3," + b"x" * 10_000 + b"\n"
    with pytest.raises(InvalidInputError, match=r"a row after row \d+ is longer than 4,000 bytes"):
        _load(_file(tmp_path, longer), tmp_path / "scratch")


def test_progress_is_told_in_bytes_of_the_file(tmp_path: Path) -> None:
    file = _file(tmp_path, b"a,b\n" + b"1,x\n" * 600_000)
    told: list[tuple[str, int, int]] = []
    how = Reading(tmp_path, progress=lambda *step: told.append(step))
    source_file.load(file, how)
    size = file.stat().st_size
    assert {what for what, _, _ in told} == {"checking the encoding", "reading"}
    assert {total for _, _, total in told} == {size}
    reading = [done for what, done, _ in told if what == "reading"]
    assert reading[0] == 0
    assert reading == sorted(reading)
    assert reading[-1] == size


def test_times_of_the_calendar_only(tmp_path: Path) -> None:
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
    file = _file(tmp_path, b"n,day\n1,0001-01-01\n2,9999-12-31\n")
    assert _load(file, tmp_path / "scratch").column("day").to_pylist() == [first, last]
    with pytest.raises(InvalidInputError, match=r"'day' has a time outside .* in row 2"):
        _load(_file(tmp_path, b"n,day\n1,0001-01-01\n2,0000-12-31\n"), tmp_path / "scratch")


def test_what_the_rules_call_text_stays_text_however_often_the_file_is_read(
    tmp_path: Path, small_blocks: None
) -> None:
    rows = "".join(f"{number},0{number}\n" for number in range(100))
    file = _file(tmp_path, f"n, zip \n{rows}x,007\n".encode())
    how = Reading(tmp_path, types={"zip": dtypes.TEXT})
    table = source_file.load(file, how).table
    assert table.column("zip").to_pylist()[:2] == ["00", "01"]
    assert table.column("n").type == dtypes.TEXT


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(st.none(), st.integers(-(10**12), 10**12), st.floats(-1e9, 1e9, width=32)),
        min_size=2, max_size=30,
    ),
    st.sampled_from([(",", "."), (".", ","), ("'", "."), (" ", ",")]),
)  # fmt: skip
def test_grouped_digits_are_the_numbers_that_were_meant(
    tmp_path_factory: pytest.TempPathFactory,
    numbers: list[int | float | None],
    marks: tuple[str, str],
) -> None:
    folder = tmp_path_factory.getbasetemp()
    thousands, decimal = marks
    swap = str.maketrans({",": thousands, ".": decimal})
    cells = ["" if n is None else f"{n:,}".translate(swap) for n in numbers]
    if any("e" in cell for cell in cells):
        return
    rows = "".join(f"{place};{cell}\n" for place, cell in enumerate(cells))
    file = _file(folder, f"n;x\n{rows}".encode(), "grouped.csv")
    table = _load(file, folder / "scratch", delimiter=";", thousands=thousands, decimal=decimal)
    found = table.column("x").to_pylist()
    assert [n is None for n in found] == [n is None for n in numbers]
    meant = [number for number in numbers if number is not None]
    assert [n for n in found if n is not None] == pytest.approx(meant, rel=1e-12)


@pytest.mark.parametrize("marks", [{}, {"decimal": ",", "thousands": "."}])
@pytest.mark.parametrize("word", ["inf", "-inf", "+Infinity"])
def test_an_infinity_is_one_at_the_door_and_for_a_model_however_numbers_are_written(
    tmp_path: Path, word: str, marks: dict[str, str]
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"a;b\n1;7\n{word};7\n")
    stated = csv_dialect.checked(Stated(delimiter=";", **marks))
    types = {"a": dtypes.NUMBER}
    door = [
        source_file.load(path, Reading(tmp_path, stated=stated, types=known)).table
        for known in ({}, types)
    ]
    model = [*file_batches.read(path, Expected(types, stated), 10)]
    values = [table.select(["a"]).column("a").to_pylist() for table in (*door, *model)]
    assert values == [[1.0, float(word)]] * 3
