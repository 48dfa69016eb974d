"""What type the cells of a CSV column have, and which of them are missing."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from mlkit.errors import InvalidInputError
from mlkit.provenance import Stated
from mlkit.steps.reading import csv_dialect, csv_rows, source_file
from mlkit.steps.reading.options import Reading
from mlkit.steps.reading.source_file import Loaded
from mlkit.steps.tables import dtypes


def _load(tmp_path: Path, content: str, types: Any = None, **stated: Any) -> Loaded:
    file = tmp_path / "rows.csv"
    file.write_text(content, newline="")
    return source_file.load(
        file, Reading(tmp_path, csv_dialect.checked(Stated(**stated)), types or {})
    )


def _column(tmp_path: Path, *values: str, **how: Any) -> pa.ChunkedArray:
    rows = "".join(f"{number},{value}\n" for number, value in enumerate(values))
    return _load(tmp_path, "n,v\n" + rows, **how).table.column("v")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["007", "7"], dtypes.TEXT),
        (["7", "01234"], dtypes.TEXT),
        (["00.5", "1.5"], dtypes.TEXT),
        (["-05", "3"], dtypes.TEXT),
        ([" 007", "7"], dtypes.TEXT),
        (["00", "1"], dtypes.TEXT),
        (["0x1F", "31"], dtypes.TEXT),
        (["0X1f", "2"], dtypes.TEXT),
        (["+41791234567", "0041791234567"], dtypes.TEXT),
        (["+41", "49"], dtypes.TEXT),
        (["1E5", "100000"], dtypes.TEXT),
        (["12e3", "4"], dtypes.TEXT),
        (["12345678901234567890", "1"], dtypes.TEXT),
        (["0", "1"], dtypes.INTEGER),
        (["-0", "7"], dtypes.INTEGER),
        (["+3", "-2"], dtypes.INTEGER),
        ([" 5", "6 "], dtypes.INTEGER),
        (["0.5", "-0.25"], dtypes.NUMBER),
        (["+0.5", "-0.5"], dtypes.NUMBER),
        ([".5", "5."], dtypes.NUMBER),
        (["1e-5", "2.5E+03"], dtypes.NUMBER),
        (["1E5", "2.5"], dtypes.NUMBER),
        (["12345678901234567890", "1.5"], dtypes.NUMBER),
        (["1e+22", "7"], dtypes.NUMBER),
        (["inf", "1"], dtypes.NUMBER),
        (["10:00", "08:30"], dtypes.TEXT),
        (["2026-01-31", "2026-02-01T10:00:00"], dtypes.DATETIME),
        (["true", "FALSE"], dtypes.BOOLEAN),
    ],
)
def test_digits_are_a_number_unless_they_are_written_as_ids_are(
    tmp_path: Path, values: list[str], kind: pa.DataType
) -> None:
    found = _column(tmp_path, *values)
    assert found.type == kind
    if kind == dtypes.TEXT:
        assert found.to_pylist() == values


@pytest.mark.parametrize("late", ["007", "+41", "1E5", "0x1F", "12345678901234567890", "NA", "x"])
def test_one_id_far_down_makes_the_whole_column_text(
    tmp_path: Path, late: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_rows, "BATCH_BLOCK_BYTES", 64)
    found = _column(tmp_path, *["7"] * 50, late)
    if late == "NA":
        assert (found.type, found.to_pylist()[-1]) == (dtypes.INTEGER, None)
    else:
        assert found.to_pylist() == ["7"] * 50 + [late]


def test_a_fraction_far_down_makes_bare_exponents_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_rows, "BATCH_BLOCK_BYTES", 64)
    assert _column(tmp_path, *["1E5"] * 50, "2.5").to_pylist() == [1e5] * 50 + [2.5]


MARKS = ["NA", "N/A", "n/a", "NULL", "null", "NaN", "nan", "#N/A", "None"]


def test_in_a_column_of_text_only_the_empty_cell_without_quotes_is_missing(tmp_path: Path) -> None:
    loaded = _load(tmp_path, "v,n\n" + "".join(f"{m},1\n" for m in [*MARKS, '"NA"', "", '""', "x"]))
    assert loaded.table.column("v").to_pylist() == [*MARKS, "NA", None, "", "x"]
    assert any(
        w.startswith("mark_in_text: 'v' has 2 cells 'NA'") and "--missing 'NA'" in w
        for w in loaded.warnings
    )


@pytest.mark.parametrize(
    ("values", "read"),
    [
        (["1", "NA", "3"], [1, None, 3]),
        (["1.5", "NULL", '""'], [1.5, None, None]),
        (["true", "n/a", "false"], [True, None, False]),
        (["1", '"#N/A"', "3"], [1, None, 3]),
    ],
)
def test_among_values_of_another_type_a_mark_is_missing_and_told(
    tmp_path: Path, values: list[str], read: list[Any]
) -> None:
    rows = "".join(f"{number},{value}\n" for number, value in enumerate(values))
    loaded = _load(tmp_path, "n,v\n" + rows)
    assert loaded.table.column("v").to_pylist() == read
    assert loaded.warnings[0].startswith("missing_mark: 'v' has 1 cells")


def test_marks_that_are_said_are_missing_among_texts_too(tmp_path: Path) -> None:
    found = _column(tmp_path, "NA", '""', "-", "x", missing=["NA", "", "-"])
    assert found.to_pylist() == [None, None, None, "x"]


def test_a_column_of_nothing_but_a_mark_keeps_it(tmp_path: Path) -> None:
    assert _column(tmp_path, "NA", "NA", "").to_pylist() == ["NA", "NA", None]


def test_marks_in_a_column_that_the_rules_call_a_number_are_missing_beside_a_misfit(
    tmp_path: Path,
) -> None:
    found = _column(tmp_path, "NA", "1", "oops", types={"v": dtypes.NUMBER})
    assert found.to_pylist() == [None, "1", "oops"]


def test_rules_that_call_a_column_a_number_are_followed_with_a_warning(tmp_path: Path) -> None:
    loaded = _load(tmp_path, "v\n7\n007\n", {"v": dtypes.INTEGER})
    assert loaded.warnings[0].startswith("leading_zero: 'v' has '007' in row 2")


@pytest.mark.parametrize(
    ("content", "kinds"),
    [
        ('a,b\n"1",1\n"2",2\n', [dtypes.TEXT, dtypes.INTEGER]),
        ('a,b\n"1","1"\n"2","2"\n', [dtypes.INTEGER, dtypes.INTEGER]),
        ('a,b\n"1",1\n2,2\n', [dtypes.INTEGER, dtypes.INTEGER]),
        ('a,b\n"true",x\n"false",y\n', [dtypes.TEXT, dtypes.TEXT]),
        ("a;b\n'1';1\n", [dtypes.TEXT, dtypes.INTEGER]),
    ],
    ids=["texts are quoted", "all is quoted", "by chance", "a truth value", "no quotes"],
)
def test_what_is_quoted_in_a_file_that_does_not_quote_all_is_text(
    tmp_path: Path, content: str, kinds: list[pa.DataType]
) -> None:
    table = _load(tmp_path, content).table
    assert [table.column(name).type for name in "ab"] == kinds


def test_quoted_values_that_would_be_of_another_type_are_told_of(tmp_path: Path) -> None:
    loaded = _load(tmp_path, 'd,s,n\n"2026-01-31","x",1\n"2026-02-01","y",2\n')
    (warning,) = loaded.warnings
    assert warning.startswith("quoted_as_text: 'd' is text")
    assert "times (datetime)" in warning
    typed = _load(tmp_path, 'd,s,n\n"2026-01-31","x",1\n', {"d": dtypes.DATETIME})
    assert (typed.table.column("d").type, typed.warnings) == (dtypes.DATETIME, ())


def test_digits_with_three_places_between_semicolons_are_told_of(tmp_path: Path) -> None:
    (warning,) = _load(tmp_path, "a;b\n26.950;x\n44.000;y\n").warnings
    assert warning.startswith("grouped_digits: 'a' is read with decimal points")
    assert not _load(tmp_path, "a;b\n26.95;x\n44.000;y\n").warnings


@pytest.mark.parametrize(
    ("first", "named"),
    [
        ("5.1,3.5,setosa", "'5.1' as the name of column 1"),
        ("ann,34,Bern", "'34' as the name of column 2"),
        ("x,2026-01-31,1", "'2026-01-31' as the name of column 2"),
        ("x,31.01.2026 10:00,b", "column 2"),
        ("x,true,b", "'true'"),
        ("x,-7,b", "'-7'"),
        ("x,1,1", "'1' as the name of column 2"),
    ],
)
def test_a_first_row_that_holds_values_is_not_taken_for_names(
    tmp_path: Path, first: str, named: str
) -> None:
    with pytest.raises(InvalidInputError, match=f"{named}.*--no-header"):
        _load(tmp_path, f"{first}\na,2,3\nb,3,4\n")


@pytest.mark.parametrize(
    "rows",
    [
        "1,John\n2,Mary\n3,Zoe\n",
        "1\n2\n3\n",
        "10:30,EU\n8:15,US\n9:00,US\n",
        "$1.50,EU\n$20,US\n$3,US\n",
        "C001,Bern\nC002,Basel\nC007,Thun\n",
        "10.0.0.1,EU\n10.0.0.2,US\n10.0.10.2,US\n",
        "2024/01/02,EU\n2024/01/03,US\n",
        "2-Jan-2024,EU\n3-Jan-2024,US\n",
        "ann@example.org,EU\nbob@example.org,US\n",
        "yes,EU\nno,US\nno,US\n",
        "1E5,a\n2E5,b\n3E6,c\n",
    ],
)
def test_a_first_row_that_is_written_as_those_below_is_not_taken_for_names(
    tmp_path: Path, rows: str
) -> None:
    with pytest.raises(InvalidInputError, match=r"column 1, which looks like a value.*--no-header"):
        _load(tmp_path, rows)


@pytest.mark.parametrize(
    "content",
    [
        "0,1\n1,John\n2,Mary\n3,Zoe\n",  # pandas, without names of its own
        "x,1,2\na,5,2\nb,6,9\n",
        "q1,50%,yes\n3,12,5\n4,13,6\n",
        "2024-01,2024-02\n3,12\n4,13\n",
        "0-10,10-20,20+\n1,2,3\n1,2,4\n",
        "item_1,item_2\nA1,B1\nA2,B2\n",
        "v1.0,v2\n0.5,0.6\n0.7,0.8\n",
    ],
)
def test_names_with_digits_over_other_values_are_names(tmp_path: Path, content: str) -> None:
    names = content.partition("\n")[0].split(",")
    assert _load(tmp_path, content).table.column_names == names


@pytest.mark.parametrize("first", ["0,1,2", "1,2,3", "region,2023,2024", "a,b,c", "x1,x2,x3"])
def test_names_that_count_columns_or_years_are_names(tmp_path: Path, first: str) -> None:
    assert _load(tmp_path, f"{first}\na,2,3\nb,3,4\n").table.column_names == first.split(",")


def test_a_file_without_a_header_keeps_its_first_row(tmp_path: Path) -> None:
    content = "5.1,setosa\n4.9,virginica\n"
    table = _load(tmp_path, content, header=False).table
    assert table.select(["c1", "c2"]).to_pylist()[0] == {"c1": 5.1, "c2": "setosa"}
    assert _load(tmp_path, content, names="size, kind").table.column_names == ["size", "kind"]
    with pytest.raises(InvalidInputError, match="has 2 columns, and --names has 1"):
        _load(tmp_path, content, names="size")


def test_a_name_that_is_also_a_value_is_told_of(tmp_path: Path) -> None:
    (warning,) = _load(tmp_path, "ann,Bern\nbob,Bern\n").warnings
    assert warning.startswith("header_in_rows: the name 'Bern'")
