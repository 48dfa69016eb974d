"""Files that are wrong, or made to hurt: a named error or warning, and the project as it was."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from mlkit.errors import CheckFailedError, InvalidInputError
from mlkit.flows.data import ingest
from mlkit.project import Project
from mlkit.steps.reading import csv_bytes
from mlkit.store import audit, datasets

MEASURE = Path(__file__).with_name("measure_add.py")
FRUGAL = {  # so that address space is what is used: no pools, stacks and arenas kept in reserve
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "ARROW_IO_THREADS": "2",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "131072",
    "MALLOC_TRIM_THRESHOLD_": "131072",
}
NUMBERED = "n,v\n{}"


def _add(project: Project, tmp_path: Path, content: bytes, **options: str) -> ingest.Added:
    file = tmp_path / "poison.csv"
    file.write_bytes(content)
    return ingest.add(project, "poison", file, **options)


def _state(project: Project) -> tuple[int, int, set[str]]:
    with project.read() as s:
        versions = s.query(datasets.DatasetVersion).count()
        events = s.query(audit.AuditEvent).count()
    files = {
        path.relative_to(project.root).as_posix()
        for path in project.root.rglob("*")
        if path.is_file() and path.stem != "ml" and "locks" not in path.parts
    }
    return versions, events, files


def _rows(*values: str) -> bytes:
    """Return a file with the values, in quotes only where they have a comma: quotes mean text."""
    quoted = [f'"{value}"' if "," in value else value for value in values]
    lines = [f"{number},{value}" for number, value in enumerate(quoted)]
    return NUMBERED.format("\n".join([*lines, ""])).encode()


REFUSED = {
    "NUL in text": (_rows("a", "b\x00c"), r"column 'v' has a NUL character in row 2"),
    "NUL among numbers": (_rows("1", "2", "3\x00"), r"column 'v' has a NUL character in row 3"),
    "NUL in a name": (b"n,v\x00\n1,2\n", "control characters"),
    "nothing but NUL": (bytes(5_000), "is binary"),
    "the year 0": (_rows("2026-01-01", "0000-12-31"), r"column 'v' has a time .* in row 2"),
    "a row too short": (b"n,v\n1,2\n3\n", r"row 2 has 1"),
    "too many columns": (
        ",".join(f"c{i}" for i in range(100_000)).encode() + b"\n" + b"1," * 99_999 + b"1\n",
        "has 100,000 columns, 20,000 are the most",
    ),
    "latin-1": ("n,v\n1,Zürich\n".encode("latin-1"), r"byte 0xfc in line 2.*--encoding"),
    "UTF-16 without a mark": ("n,v\n1,2\n".encode("utf-16-le"), "give --encoding utf-16-le"),
    "a zip archive": (b"PK\x03\x04" + bytes(100), "zip archive or an Excel workbook"),
    "bzip2": (b"BZh91AY&SY", "compressed by bzip2"),
    "a cut gzip": (gzip.compress(_rows("a") * 100)[:-9], "damaged"),
    "a cut zstd": (pa.compress(_rows("a") * 100, "zstd", asbytes=True)[:-4], "damaged"),
}  # fmt: skip


@pytest.mark.parametrize("poison", REFUSED)
def test_a_poisoned_file_is_refused_with_its_place_and_leaves_no_trace(
    poison: str, project: Project, tmp_path: Path
) -> None:
    content, message = REFUSED[poison]
    before = _state(project)
    with pytest.raises(InvalidInputError, match=message):
        _add(project, tmp_path, content)
    assert _state(project) == before


WARNED = {
    "the year 9999": (
        _rows("2026-01-01", "9999-12-31"), r"odd_time: 'v' has 1 times .* first 9999-12-31 in row 2"
    ),
    "1 BC as text": (
        _rows("-0001-01-01", "x"), None
    ),
    "mixed time zones": (
        _rows("2026-01-01T10:00:00Z", "2026-01-01T11:00:00+02:00", "2026-01-01T12:00:00"),
        r"mixed_time_zones: 'v' has 2 times with a zone and 1 without, first .* in row 3",
    ),
    "decimal commas": (
        _rows("1,5", "2", "3,25"), r"number_as_text: 'v' .* first '1,5' in row 1; .*--decimal"
    ),
    "thousands": (
        _rows("999", "1,234,567"), r"number_as_text: 'v' .* '1,234,567' in row 2; .*--thousands"
    ),
    "an id that Excel shortened": (
        _rows("123456789012", "1.23E+11", "987654321098"),
        r"shortened_number: 'v' has 1 whole numbers .* first 123000000000 in row 2",
    ),
    "ids that Excel shortened, as text": (
        _rows("A-17", "1.23E+11", "B-18"), r"shortened_number: 'v' has 1 values .* in row 2"
    ),
    "a quote left open": (
        b'n,v\n1,x\n2,"y\n' + b"3,z\n" * 3,
        r"open_quote: 'v' has the last 4 lines of the file as one value in row 2",
    ),
    "formulas": (
        _rows("fine", "=HYPERLINK(1)", "@SUM(A1)", "-cmd|x", "+49 30"),
        r"formula: 'v' has 3 values .* first '=HYPERLINK\(1\)' in row 2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("poison", WARNED)
def test_an_odd_file_is_kept_with_a_warning_that_names_row_and_column(
    poison: str, project: Project, tmp_path: Path
) -> None:
    content, message = WARNED[poison]
    added = _add(project, tmp_path, content)
    assert message is None or any(_matches(message, line) for line in added.warnings), added


def _matches(pattern: str, line: str) -> bool:
    import re

    return re.match(pattern, line) is not None


def test_formulas_and_dates_before_christ_stay_the_text_that_they_are(
    project: Project, tmp_path: Path
) -> None:
    values = ["=1+1", "@x", "-0001-01-01", "fine"]
    added = _add(project, tmp_path, _rows(*values))
    assert ingest.load_table(project, added.sha256)["v"].to_pylist() == values


def test_a_time_column_with_an_impossible_year_is_refused_by_row(
    project: Project, tmp_path: Path
) -> None:
    before = _state(project)
    content = _rows("2026-01-01T10:00:00Z", "0000-01-01 10:00", "-0044-03-15")
    with pytest.raises(CheckFailedError, match=r"'v': type\(datetime\).*in row 2.*in row 3"):
        _add(project, tmp_path, content, time="v")
    assert _state(project) == before


def test_the_hour_that_happens_twice_is_noticed(project: Project, tmp_path: Path) -> None:
    night = [f"2026-10-25T0{hour}:{minute:02}:00" for hour in (1, 2) for minute in range(0, 60, 20)]
    rows = _rows(*night, *night[3:], "2026-10-25T03:00:00")
    added = _add(project, tmp_path, rows, time="v")
    assert any(_matches(r"local_time: 'v' .* in row 7", line) for line in added.warnings), added


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_bomb_is_not_unpacked_to_its_end(
    compression: str, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_bytes, "MOST_EXPANDED_BYTES", 10_000_000)
    content = b"n,v\n" + b"1,2\n" * 10_000_000
    packed = gzip.compress(content, 1) if compression == "gzip" else pa.compress(
        content, "zstd", asbytes=True
    )  # fmt: skip
    before = _state(project)
    with pytest.raises(InvalidInputError, match=r"expands to more than [\d,]+ bytes, 200 times"):
        _add(project, tmp_path, packed)
    assert _state(project) == before


def _measured(tmp_path: Path, file: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, MEASURE, tmp_path / "measured", file],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return dict(json.loads(done.stdout))


def _one_line(file: Path) -> None:
    file.write_bytes(b"x" * 60_000_000)


def _one_long_row(file: Path) -> None:
    file.write_bytes(b"n,v\n1,a\n2," + b"x" * 60_000_000 + b"\n")


def _many_columns(file: Path) -> None:
    header = ",".join(f"column_{number}" for number in range(100_000))
    file.write_text(f"{header}\n" + f"{','.join(['12345.678'] * 100_000)}\n" * 40)


def _no_type_for_long(file: Path) -> None:
    rows = "".join(
        f"{number},{number % 7},some text {number % 1000}\n" for number in range(900_000)
    )
    file.write_text(f"n,m,t\n{rows}x,y,z\n{rows}")


BIG: dict[str, tuple[Callable[[Path], None], str]] = {
    "one line": (_one_line, "the header of .* is longer"),
    "one long row": (_one_long_row, "a row after row 0 is longer|a row after row 1 is longer"),
    "many columns": (_many_columns, "has 100,000 columns|header of .* is longer"),
    "types that change far down": (_no_type_for_long, "rows: 1800001"),
}


@pytest.mark.parametrize("poison", BIG)
def test_a_large_file_costs_less_than_three_times_its_size(poison: str, tmp_path: Path) -> None:
    write, message = BIG[poison]
    file = tmp_path / "big.csv"
    write(file)
    found = _measured(tmp_path, file)
    assert _search(message, found["outcome"]), found
    assert found["grown_bytes"] < 3 * file.stat().st_size
    assert found["files"] == found["files_before"] + (2 if "rows:" in found["outcome"] else 0)


def _search(pattern: str, text: str) -> bool:
    import re

    return re.search(pattern, text) is not None


def test_files_five_times_the_memory_become_versions(tmp_path: Path) -> None:
    file = tmp_path / "large.csv"
    texts = [f"{number:03} {'which is said at length ' * 3}" for number in range(100)]
    with file.open("w") as stream:
        stream.write("n,x,a,b,c\n")
        block = "".join(
            f"{n},{n / 7},{texts[n % 100]},{texts[n % 7]},{texts[n * n % 100]}\n"
            for n in range(10_000)
        )
        for _ in range(180):
            stream.write(block)
    headroom = 80 << 20
    assert file.stat().st_size > 5 * headroom
    done = subprocess.run(
        [sys.executable, MEASURE, tmp_path / "measured", file, str(headroom)],
        capture_output=True, text=True, check=False,
        env={**os.environ, **FRUGAL},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)["outcome"] == "rows: 1800000, then 1800001"


def test_a_limit_of_address_space_is_not_spent_on_what_arrow_reserves(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("n,v\n1,a\n2,b\n")
    command = f"{sys.executable} -m mlkit"
    done = subprocess.run(
        ["sh", "-c", f"{command} init . && ulimit -v 1048576 && {command} data add some rows.csv"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
