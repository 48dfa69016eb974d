import gzip
import math
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.errors import InvalidInputError
from mlkit.steps.reading import csv_rows, file_batches, frames
from mlkit.steps.reading.file_batches import Expected
from mlkit.steps.tables import dtypes

CSV = b"id,day,price,open,name\n1,2026-01-31,1.5,true,ann\n2,2026-02-01T10:00:00Z,,false,\n"


def _file(tmp_path: Path, content: bytes, name: str = "rows.csv") -> Path:
    file = tmp_path / name
    file.write_bytes(content)
    return file


def test_a_csv_file_becomes_the_five_types(tmp_path: Path) -> None:
    table = frames.read_table(_file(tmp_path, CSV.replace(b"T10:00:00Z", b"")))
    assert table.schema.types == [
        dtypes.INTEGER, dtypes.DATETIME, dtypes.NUMBER, dtypes.BOOLEAN, dtypes.TEXT,
    ]  # fmt: skip
    assert table.to_pylist()[1] == {
        "id": 2,
        "day": datetime(2026, 2, 1, tzinfo=UTC),
        "price": None,
        "open": False,
        "name": None,
    }


@pytest.mark.parametrize(
    "content",
    [
        CSV.replace(b",", b";"),
        CSV.replace(b",", b"\t"),
        CSV.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + CSV,
        gzip.compress(CSV, mtime=0),
        CSV.decode().encode("utf-16"),
        CSV.decode().encode("utf-32"),
        gzip.compress(CSV.decode().encode("utf-16")),
        CSV.replace(b"id,day", b" id , day "),
    ],
    ids=["semicolon", "tab", "crlf", "bom", "gz", "utf-16", "utf-32", "utf-16.gz", "blanks"],
)
def test_every_way_to_write_the_same_rows_gives_the_same_table(
    tmp_path: Path, content: bytes
) -> None:
    plain = frames.read_table(_file(tmp_path, CSV))
    assert frames.read_table(_file(tmp_path, content, "other")).equals(plain)


def test_a_decimal_comma_is_read_whole_and_in_batches(tmp_path: Path) -> None:
    file = _file(tmp_path, b"a;b\n1,5;x\n2,25;y\n")
    table = frames.read_table(file)
    batches = list(file_batches.read(file, Expected(frames.column_types(table)), 10))
    assert table["a"].to_pylist() == [1.5, 2.25]
    assert pa.concat_tables(batches).equals(table)


def test_a_column_whose_type_changes_far_down_is_read_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_rows, "BLOCK_BYTES", 64)
    rows = b"".join(b"%d,a\n" % i for i in range(100))
    table = frames.read_table(_file(tmp_path, b"n,t\n" + rows + b"oops,b\n"))
    assert table["n"].type == dtypes.TEXT
    assert table.num_rows == 101


def test_what_the_rules_call_text_keeps_its_leading_zeros(tmp_path: Path) -> None:
    table = frames.read_table(_file(tmp_path, b"zip,n\n01234,1\n"), {"zip": dtypes.TEXT})
    assert table.to_pylist() == [{"zip": "01234", "n": 1}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"a,b\n", "header but no rows"),
        (b"a,b", "header but no rows"),
        (b"a,a\n1,2\n", "more than one column named 'a'"),
        (b"a, a\n1,2\n", "more than one column named 'a'"),
        (b",a\n0,1\n", "column 1 .* has no name"),
        (b"a,b,\n1,2,\n", "column 3 .* has no name"),
        (b"a,b\n1,2\n3\n4,5,6\n", "2 columns but row 2 has 1, row 3 has 3"),
        (b'a,b\n"x,1\n2,3\n', "2 columns but row 1 has 1"),
        ("a,b\nJosé,1\n".encode("latin-1"), "byte 0xe9 in line 2"),
        ("naïve,b\n1,2\n".encode("latin-1"), "byte 0xef in line 1"),
        (b"a,b\nx\x00y,2\n", "NUL character in row 1"),
        (b'"a\x1b[31m",b\n1,2\n', "control characters"),
        (b"PAR1" + bytes(20), "cannot read"),
        (gzip.compress(CSV, mtime=0)[:-12], "is damaged"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_place(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = _file(tmp_path, content)
    with pytest.raises(InvalidInputError, match=message):
        frames.read_table(file)
    with pytest.raises(InvalidInputError, match=message):
        list(file_batches.read(file, Expected({}), 10))


def test_a_row_longer_than_a_block_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_rows, "BLOCK_BYTES", 1024)
    with pytest.raises(InvalidInputError, match="row is longer than a block"):
        frames.read_table(_file(tmp_path, b"a,b\n" + b"x" * 5000 + b",1\n"))


def test_many_ragged_rows_are_counted(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"and 15 more"):
        frames.read_table(_file(tmp_path, b"a,b\n1,2\n" + b"1\n" * 20))


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(InvalidInputError, match="is not a file"):
            frames.read_table(path)


def test_batches_are_the_table_in_pieces(tmp_path: Path) -> None:
    table = frames.read_table(_file(tmp_path, CSV.replace(b"T10:00:00Z", b"")))
    many = pa.concat_tables([table] * 50).combine_chunks()
    pq.write_table(many, tmp_path / "many.parquet")
    csv = b"".join([CSV.splitlines(keepends=True)[0], *CSV.splitlines(keepends=True)[1:] * 50])
    for file in (tmp_path / "many.parquet", _file(tmp_path, csv)):
        batches = list(file_batches.read(file, Expected(frames.column_types(table)), 30))
        assert [batch.num_rows for batch in batches] == [30, 30, 30, 10]
        assert pa.concat_tables(batches).drop_columns("day").equals(many.drop_columns("day"))


def test_a_value_of_the_wrong_type_in_a_batch_is_named_by_its_row(tmp_path: Path) -> None:
    file = _file(tmp_path, b"n,t\n" + b"1,a\n" * 25 + b"x,b\n")
    with pytest.raises(InvalidInputError, match="row 26, column 'n': 'x' is not an integer"):
        list(file_batches.read(file, Expected({"n": dtypes.INTEGER}), 10))


def test_a_batch_column_that_no_type_is_asked_for_stays_as_it_is_written(tmp_path: Path) -> None:
    file = _file(tmp_path, b"id,n\n007,1\n")
    (batch,) = file_batches.read(file, Expected({"n": dtypes.NUMBER}), 10)
    assert batch.to_pylist() == [{"id": "007", "n": 1.0}]


def test_reading_in_batches_needs_memory_for_a_batch_and_not_for_the_file(tmp_path: Path) -> None:
    file = tmp_path / "large.csv"
    with file.open("wb") as stream:
        stream.write(b"a,b\n")
        for _ in range(80):
            stream.write(b"123456.789,some words that take up room\n" * 50_000)
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from mlkit.steps.tables import dtypes; from mlkit.steps.reading import file_batches\n"
        "from mlkit.steps.reading.file_batches import Expected\n"
        "start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "types = {'a': dtypes.NUMBER}\n"
        "read = file_batches.read(Path(sys.argv[1]), Expected(types), 10_000)\n"
        "rows = sum(batch.num_rows for batch in read)\n"
        "print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(file)], capture_output=True, text=True, check=True
    )
    rows, grown_kib = map(int, done.stdout.split())
    assert rows == 4_000_000
    assert grown_kib * 1024 < 0.8 * file.stat().st_size


def test_the_same_rows_give_the_same_bytes_however_they_came(tmp_path: Path) -> None:
    table = frames.read_table(_file(tmp_path, CSV))
    pieces = pa.concat_tables([table.slice(0, 1), table.slice(1)]).replace_schema_metadata(
        {"a": "b"}
    )
    for number, version in enumerate((table, pieces)):
        frames.write_parquet(version, tmp_path / f"{number}.parquet")
    first, second = ((tmp_path / f"{i}.parquet").read_bytes() for i in (0, 1))
    assert first == second
    assert frames.read_parquet(first).equals(table)


_TEXTS = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00\r", exclude_categories=["Cs"]),
    min_size=1, max_size=12,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
            st.integers(-(2**63), 2**63 - 1),
            _TEXTS.filter(lambda text: not _special(text)),
        ),
        min_size=1, max_size=20,
    )
)  # fmt: skip
def test_what_was_written_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float | None, int, str]]
) -> None:
    file = tmp_path_factory.getbasetemp() / "property.csv"
    lines = ["number,integer,text"]
    for number, integer, text in rows:
        quoted = text.replace('"', '""')
        lines.append(f'{"" if number is None else repr(number)},{integer},"{quoted}"')
    file.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    types = {"number": dtypes.NUMBER, "integer": dtypes.INTEGER, "text": dtypes.TEXT}
    table = frames.read_table(file, types)
    expected = [None if number is None else float(number) for number, _, _ in rows]
    assert [casts_to_float(value) for value in table["number"].to_pylist()] == expected
    assert table["integer"].to_pylist() == [integer for _, integer, _ in rows]
    assert table["text"].to_pylist() == [text for _, _, text in rows]
    batches = pa.concat_tables(file_batches.read(file, Expected(types), 7))
    assert batches["text"].equals(table["text"])


def casts_to_float(value: float | None) -> float | None:
    return None if value is None else float(value)


def _special(text: str) -> bool:
    """Tell whether a CSV file has another use for this text: a missing value."""
    return text in {"NA", "N/A", "n/a", "NaN", "nan", "-nan", "-NaN", "NULL", "null", "#NA", "#N/A"}


def test_infinities_are_read_and_left_for_the_checks_to_judge(tmp_path: Path) -> None:
    table = frames.read_table(_file(tmp_path, b"a\n1.5\ninf\n-Infinity\nNaN\n"))
    assert table["a"].to_pylist() == [1.5, math.inf, -math.inf, None]
