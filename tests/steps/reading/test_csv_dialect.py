import gzip
from pathlib import Path

import pytest

from mlkit.errors import InvalidInputError
from mlkit.steps.reading import csv_bytes, csv_dialect


def _file(tmp_path: Path, content: bytes) -> Path:
    file = tmp_path / "rows.csv"
    file.write_bytes(content)
    return file


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    rows = [["name", "note", "n"], ["a", "x", "1"], ["b", "y", "2"]]
    text = "\n".join(delimiter.join(row) for row in rows)
    assert csv_dialect.sniff(_file(tmp_path, text.encode())).delimiter == delimiter


def test_a_comma_inside_quotes_is_no_delimiter(tmp_path: Path) -> None:
    content = b'name;place\n"Doe, J";"Rome, IT"\n"Roe, R";"Bern, CH"\n'
    assert csv_dialect.sniff(_file(tmp_path, content)).delimiter == ";"


def test_one_column_needs_no_delimiter(tmp_path: Path) -> None:
    dialect = csv_dialect.sniff(_file(tmp_path, b"a\n1\n2\n"))
    assert (dialect.delimiter, dialect.names) == (",", ["a"])


@pytest.mark.parametrize(
    ("content", "mark"),
    [
        (b"a;b\n1,5;x\n", ","),
        (b"a;b\n1.5;x\n", "."),
        (b"a;b\n1,5;1.5\n", "."),
        (b'a,b\n"1,5",x\n', "."),
    ],
)
def test_a_decimal_comma_is_one_only_where_commas_separate_nothing(
    tmp_path: Path, content: bytes, mark: str
) -> None:
    assert csv_dialect.sniff(_file(tmp_path, content)).decimal_point == mark


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path, encoding: str) -> None:
    assert csv_dialect.sniff(_file(tmp_path, "é,b\n1,2\n".encode(encoding))).names == ["é", "b"]


def test_a_gzipped_file_is_known_by_its_bytes(tmp_path: Path) -> None:
    dialect = csv_dialect.sniff(_file(tmp_path, gzip.compress(b"a,b\n1,2\n")))
    assert (dialect.compression, dialect.names) == ("gzip", ["a", "b"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n \n", "is empty"),
        (b"PK\x03\x04....", "Excel"),
        (b'[{"a": 1}]', "JSON"),
        (b'{"a": 1}', "JSON"),
        (b"SQLite format 3\x00", "SQLite"),
        ("a,b\n1,2\n".encode("utf-16-le"), "byte order mark"),
        (b"\x1f\x8b" + bytes(40), "damaged"),
        (b"x" * (csv_bytes.SAMPLE_BYTES + 10), "header of .* is longer"),
    ],
)
def test_what_is_no_csv_is_called_by_its_name(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        csv_dialect.sniff(_file(tmp_path, content))


def test_a_byte_that_is_not_utf_8_is_located_by_its_line(tmp_path: Path) -> None:
    file = _file(tmp_path, "name,n\nJo,1\nJosé,2\n".encode("latin-1"))
    dialect = csv_dialect.sniff(file)
    with (
        pytest.raises(InvalidInputError, match="byte 0xe9 in line 3"),
        csv_bytes.as_utf8(file, dialect.encoding, dialect.compression),
    ):
        pass


@pytest.mark.parametrize(
    ("line", "encoding"),
    [
        ("José García aus Köln", "cp1252"),
        ("Müller, Straße: 5 €", "cp1252"),
        ("Москва Санкт-Петербург Новосибирск", "cp1251"),
        ("東京都 大阪府 北海道 神奈川県", "cp932"),
    ],
)
def test_the_encoding_that_a_file_is_probably_in_is_suggested(
    tmp_path: Path, line: str, encoding: str
) -> None:
    file = _file(tmp_path, f"name,n\n{line},1\n".encode(encoding))
    with (
        pytest.raises(InvalidInputError, match=f"--encoding {encoding}"),
        csv_bytes.as_utf8(file, "utf-8", None),
    ):
        pass
