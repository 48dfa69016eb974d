import io
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import event, text
from sqlalchemy.engine import make_url

from mlkit.errors import (
    CheckFailedError,
    ConflictError,
    DamagedError,
    InvalidInputError,
    NotFoundError,
)
from mlkit.flows.data import file_source, ingest, leftovers, query_source
from mlkit.flows.data.file_source import STDIN, FileSource
from mlkit.flows.data.query_source import QuerySource
from mlkit.flows.data.versioning import Origin
from mlkit.flows.training import retrain
from mlkit.project import Project
from mlkit.provenance import Log, Stated
from mlkit.settings.table import DatasetSettings
from mlkit.store import datasets, foreign
from mlkit.store.datasets import DatasetVersion
from mlkit.store.disk import blobs

Churn = Callable[..., pd.DataFrame]


def with_source(project: Project, name: str, **settings: str) -> Project:
    """Return the project with ``[datasets.NAME]``."""
    chosen = {**project.settings.datasets, name: DatasetSettings(**settings)}
    changed = msgspec.structs.replace(project.settings, datasets=chosen)
    return Project(project.root, changed, project.database)


def _transformation(project: Project, name: str) -> dict[str, Any]:
    with project.read() as s:
        return datasets.get_version(s, name).transformation


def _scratch_is_gone(project: Project) -> bool:
    return not (project.root / "data" / "scratch").exists()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Path]:
    """Somebody else's SQLite database."""
    file = tmp_path / "shop.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER, price REAL, note TEXT, day TEXT)")
        connection.executemany(
            "INSERT INTO orders VALUES (?, ?, ?, ?)",
            [(n, n / 4, None if n % 3 else f"note {n}", f"2026-01-{n % 28 + 1:02}")
             for n in range(25_000)],
        )  # fmt: skip
    yield file
    connection.close()


def test_what_is_said_of_a_file_is_recorded_and_holds_for_the_next(
    project: Project, tmp_path: Path
) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes("größe|preis\n1|1.000,5\n2|20,25\n".encode("cp1252"))
    said = Stated(encoding="cp1252", decimal=",", thousands=".")
    ingest.add(project, "shop", FileSource(file, said))
    made = _transformation(project, "shop")
    assert made["kind"] == "file"
    assert made["stated"] == {"encoding": "cp1252", "decimal": ",", "thousands": "."}
    assert (made["read_as"]["delimiter"], made["read_as"]["encoding"]) == ("|", "cp1252")
    file.write_bytes("größe|preis\n3|1.001,5\n2|20,25\n".encode("cp1252"))
    again = ingest.add(project, "shop", file)
    assert ingest.load_table(project, again.sha256)["preis"].to_pylist() == [1001.5, 20.25]


def test_the_same_bytes_read_in_another_way_are_other_rows(
    project: Project, tmp_path: Path
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("n;x\n1;1.234\n2;5.678\n")
    first = ingest.add(project, "shop", file)
    with pytest.raises(CheckFailedError, match=r"'x': in_range.* 1234.0 in row 1"):
        ingest.add(project, "shop", FileSource(file, Stated(thousands=".")))
    assert ingest.load_table(project, first.sha256)["x"].to_pylist() == [1.234, 5.678]


def test_settings_say_how_a_file_is_written(project: Project, tmp_path: Path) -> None:
    (project.root / "a.csv").write_bytes("naïve;n\nä;1\n".encode("latin-1"))
    chosen = with_source(project, "shop", source="a.csv", encoding="latin-1")
    added = ingest.add(chosen, "shop")
    assert ingest.load_table(project, added.sha256)["naïve"].to_pylist() == ["ä"]


def test_stdin_is_read_like_a_file_and_leaves_nothing_behind(
    project: Project, churn_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(churn_csv.read_bytes()))
    monkeypatch.setattr(sys, "stdin", stdin)
    added = ingest.add(project, "churn", STDIN, target="churned")
    assert (added.rows, added.new) == (400, True)
    with project.read() as s:
        assert datasets.get_version(s, "churn").source == "stdin"
    assert _scratch_is_gone(project)
    assert ingest.add(project, "churn", churn_csv).new is False


def test_a_folder_of_parquet_files_is_one_source(
    project: Project, tmp_path: Path, churn: Churn
) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    frame = churn()
    for number in range(4):
        part = frame.iloc[number * 100 : (number + 1) * 100]
        pq.write_table(pa.Table.from_pandas(part, preserve_index=False),
                       folder / f"{number}.parquet")  # fmt: skip
    added = ingest.add(project, "churn", folder, target="churned")
    assert (added.rows, added.new) == (400, True)
    assert ingest.add(project, "churn", folder).new is False
    (folder / "3.parquet").unlink()
    assert ingest.add(project, "churn", folder).rows == 300
    assert _transformation(project, "churn")["read_as"] == {"format": "parquet"}


def test_a_query_is_a_source(project: Project, shop: Path) -> None:
    query = "SELECT id, price, note, day AS \"the day\" FROM orders WHERE note LIKE 'n%' OR id > 5"
    added = ingest.add(project, "orders", QuerySource(f"sqlite:///{shop.name}", query, shop.parent))
    table = ingest.load_table(project, added.sha256)
    with sqlite3.connect(shop) as connection:
        expected = connection.execute(query).fetchall()
    connection.close()
    assert [tuple(row.values()) for row in table.to_pylist()] == expected
    assert table.column_names == ["id", "price", "note", "the day"]
    made = _transformation(project, "orders")
    assert made == {"kind": "query", "url": f"sqlite:///{shop}", "query": query}
    assert _scratch_is_gone(project)


def test_a_query_makes_a_version_only_if_its_rows_have_changed(
    project: Project, shop: Path
) -> None:
    query = "SELECT * FROM orders ORDER BY id"
    ingest.add(project, "orders", QuerySource(f"sqlite:///{shop}", query, Path()))
    assert ingest.pull(project, "orders").new is False
    with sqlite3.connect(shop) as connection:
        connection.execute("INSERT INTO orders VALUES (25001, 1, 'new', '2026-02-01')")
    connection.close()
    pulled = ingest.pull(project, "orders")
    assert (pulled.version, pulled.rows, pulled.new) == (2, 25_001, True)


def test_a_query_cannot_write(project: Project, shop: Path) -> None:
    for query in ("DELETE FROM orders", "INSERT INTO orders VALUES (1,1,'','') RETURNING id"):
        with pytest.raises(InvalidInputError, match=r"readonly|gives no rows"):
            ingest.add(project, "orders", QuerySource(f"sqlite:///{shop}", query, Path()))
    with sqlite3.connect(shop) as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (25_000,)
    connection.close()
    assert _scratch_is_gone(project)


@pytest.mark.parametrize(
    ("url", "query", "message"),
    [
        ("sqlite:///{shop}", "SELECT nope FROM orders", "no such column: nope"),
        ("sqlite:///{shop}", "SELECT * FROM orders WHERE id < 0", "gives no rows"),
        ("sqlite:///{shop}", "SELECT id, id FROM orders", "more than one column named 'id'"),
        ("sqlite:///{shop}", "SELECT x'00ff' AS b", "column 'b' has a bytes in row 1; cast it"),
        ("sqlite:///{shop}", " ", "the query is empty"),
        ("sqlite:///none.db", "SELECT 1", "none.db is not a file"),
        ("not a url", "SELECT 1", "the source is not a URL"),
        ("nosuch://host/db", "SELECT 1", "nosuch"),
        ("postgresql+psycopg://u:${MLKIT_NO_SUCH}@h/db", "SELECT 1", "names the variable MLKIT_NO"),
    ],
)
def test_a_query_that_cannot_be_is_refused(
    project: Project, shop: Path, url: str, query: str, message: str
) -> None:
    source = QuerySource(url.format(shop=shop, MLKIT_NO_SUCH="") if "{shop}" in url else url,
                         query, shop.parent)  # fmt: skip
    with pytest.raises(InvalidInputError, match=message):
        ingest.add(project, "orders", source)
    assert _scratch_is_gone(project)


def test_mixed_values_of_a_query_are_refused_by_column_and_row(
    project: Project, shop: Path
) -> None:
    query = "SELECT CASE WHEN id > 15000 THEN 'x' ELSE id END AS v FROM orders"
    with pytest.raises(InvalidInputError, match=r"column 'v' has int and str in the rows from 10"):
        ingest.add(project, "orders", QuerySource(f"sqlite:///{shop}", query, Path()))
    query = "SELECT CASE WHEN id >= 20000 THEN 'x' ELSE id END AS v FROM orders"
    with pytest.raises(InvalidInputError, match=r"'v' is integer in row 1 and .* row 20,001"):
        ingest.add(project, "orders", QuerySource(f"sqlite:///{shop}", query, Path()))


def test_whole_numbers_and_gaps_of_a_query_agree_over_its_chunks(
    project: Project, shop: Path
) -> None:
    query = (
        "SELECT CASE WHEN id < 10000 THEN NULL WHEN id < 20000 THEN id ELSE id + 0.5 END AS v, "
        "NULL AS none, 18446744073709551615.0 AS big FROM orders ORDER BY id"
    )
    added = ingest.add(project, "orders", QuerySource(f"sqlite:///{shop}", query, Path()))
    table = ingest.load_table(project, added.sha256)
    assert table.schema.types == [pa.float64()] * 3
    assert table["v"].null_count == 10_000
    assert table["v"].to_pylist()[-1] == 24_999.5


def test_a_pull_reads_what_the_settings_say(
    project: Project, churn: Churn, churn_csv: Path
) -> None:
    ingest.add(project, "churn", churn_csv, target="churned")
    with pytest.raises(InvalidInputError, match=r"no source to read again; .*mlkit.toml"):
        ingest.pull(project, "churn")
    chosen = with_source(project, "churn", source=str(churn_csv))
    assert ingest.pull(chosen, "churn").new is False
    churn(seed=1).to_csv(churn_csv, index=False)
    assert ingest.pull(chosen, "churn").version == 2
    churn().assign(plan="gold").to_csv(churn_csv, index=False)
    with pytest.raises(CheckFailedError, match="'plan': isin"):
        ingest.pull(chosen, "churn")
    with pytest.raises(NotFoundError, match=r"make the first one.*: mlkit data add other"):
        ingest.pull(with_source(project, "other", source=str(churn_csv)), "other")


def test_an_unchanged_file_is_not_read_again(
    project: Project, churn_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_source, "_STILL_NS", 0)  # the file is as young as this test
    chosen = with_source(project, "churn", source=str(churn_csv))
    ingest.add(chosen, "churn", target="churned")
    read: list[Path] = []
    digest = blobs.file_digest
    monkeypatch.setattr(file_source.blobs, "file_digest", lambda p: read.append(p) or digest(p))
    assert ingest.pull(chosen, "churn").new is False
    assert read == []
    churn_csv.write_text(churn_csv.read_text() + "\n")
    assert ingest.pull(chosen, "churn").new is False  # other bytes, the same rows
    assert churn_csv in read


def test_a_file_that_was_just_written_is_read_again(
    project: Project, churn_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    churn_csv.touch()
    ingest.add(project, "churn", churn_csv)
    read: list[Path] = []
    digest = blobs.file_digest
    monkeypatch.setattr(file_source.blobs, "file_digest", lambda p: read.append(p) or digest(p))
    ingest.add(project, "churn", churn_csv)
    assert churn_csv in read


def test_retraining_from_the_source_asks_the_query(trained: Project, churn: Churn) -> None:
    file = trained.root / "crm.db"
    with sqlite3.connect(file) as connection:
        churn(rows=600, seed=4).to_sql("customers", connection, index=False)
    connection.close()
    chosen = with_source(
        trained, "churn", source="sqlite:///crm.db", query="SELECT * FROM customers"
    )
    done = retrain.retrain(chosen, "churn", data="source", reason="a test")
    assert done.version == 2
    with trained.read() as s:
        made = datasets.get_version(s, "churn", 2).transformation
    assert made["kind"] == "query"
    again = retrain.retrain(chosen, "churn", data="source", reason="a test")
    assert "has not changed since churn@2" in again.summary


def test_a_file_that_changes_while_it_is_read_is_refused(
    project: Project, churn_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grow(what: str, _done: int, _total: int) -> None:
        if what == "reading":
            with churn_csv.open("a") as stream:
                stream.write("\n")

    with pytest.raises(ConflictError, match="has changed while it was read"):
        ingest.add(project, "churn", churn_csv, progress=grow)
    assert _scratch_is_gone(project)


def test_what_a_killed_validation_left_is_swept_away_when_it_is_old(project: Project) -> None:
    folder = project.root / "data" / "scratch" / "~churn-killed"
    folder.mkdir(parents=True)
    (folder / "rows.parquet").touch()
    assert leftovers.sweep(project) == 0
    old = time.time() - 2 * 86_400
    os.utime(folder / "rows.parquet", (old, old))
    assert leftovers.sweep(project) == 1
    os.utime(folder, (old, old))
    leftovers.sweep(project)
    assert not folder.exists()


def test_a_query_is_remembered_behind_the_versions_that_retrainings_made(
    project: Project, shop: Path
) -> None:
    source = QuerySource(f"sqlite:///{shop}", "SELECT * FROM orders ORDER BY id", Path())
    first = ingest.add(project, "orders", source)
    rows = ingest.load_table(project, first.sha256).slice(0, 900)
    logged = Log(model="buyers", start="2026", end="2027")
    ingest.add_table(project, "orders", rows, origin=Origin("a log", made=logged))
    pulled = ingest.pull(project, "orders")
    assert (pulled.version, pulled.new) == (1, False)


def test_what_came_before_is_known_without_reading_all_versions(
    project: Project, churn: Churn, tmp_path: Path
) -> None:
    for seed in range(4):
        churn(seed=seed).to_csv(tmp_path / "a.csv", index=False)
        ingest.add(project, "churn", tmp_path / "a.csv")
    seen: list[int] = []

    def note(version: DatasetVersion, _context: object) -> None:
        seen.append(version.number)

    event.listen(DatasetVersion, "load", note)
    try:
        churn(seed=9).to_csv(tmp_path / "a.csv", index=False)
        assert ingest.add(project, "churn", tmp_path / "a.csv").version == 5
        assert query_source.remembered(project, "churn") is None
    finally:
        event.remove(DatasetVersion, "load", note)
    assert set(seen) <= {4, 5}


def test_a_file_rewritten_with_its_size_and_time_kept_is_another_file(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_source, "_STILL_NS", 0)
    file = tmp_path / "n.csv"
    file.write_text("x,y\n1,2\n3,4\n")
    chosen = with_source(project, "n", source=str(file))
    ingest.add(chosen, "n")
    before = file.stat()
    with file.open("r+") as stream:
        stream.write("x,y\n3,2\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert ingest.pull(chosen, "n").version == 2


_TYPED = {
    "n": [0, 1, 7],
    "x": [1.5, 2.5, 7.0],
    "zip": ["01234", "9", "1"],
    "flag": [True, False, True],
}


@pytest.mark.parametrize(
    ("column", "values", "found"),
    [
        ("n", [True, False, True], "boolean, not integer"),
        ("n", ["0", "1", "7"], "text, not integer"),
        ("x", ["1.5", "2.5", "3"], "text, not number"),
        ("x", [True, False, True], "boolean, not number"),
        ("zip", [1234, 9, 1], "integer, not text"),
        ("flag", [0, 1, 1], "integer, not boolean"),
        ("flag", ["true", "false", "true"], "text, not boolean"),
    ],
)
def test_a_parquet_column_of_another_type_is_refused_whatever_its_values(
    project: Project, tmp_path: Path, column: str, values: list[Any], found: str
) -> None:
    pq.write_table(pa.table(_TYPED), tmp_path / "one.parquet")
    pq.write_table(pa.table({**_TYPED, column: values}), tmp_path / "two.parquet")
    ingest.add(project, "typed", tmp_path / "one.parquet")
    for act in (ingest.add, ingest.validate):
        with pytest.raises(CheckFailedError, match=f"'{column}': type.*the column holds {found}"):
            act(project, "typed", tmp_path / "two.parquet")


def test_whole_numbers_are_numbers_and_iso_texts_are_times(
    project: Project, tmp_path: Path
) -> None:
    times = pa.array([0, 10**6], pa.timestamp("us"))
    pq.write_table(pa.table({"x": [1.5, 2.5], "t": times}), tmp_path / "one.parquet")
    rows = {"x": [1, 2], "t": ["1970-01-01", "1970-01-01T00:00:01Z"]}
    pq.write_table(pa.table(rows), tmp_path / "two.parquet")
    ingest.add(project, "typed", tmp_path / "one.parquet", time="t")
    assert ingest.add(project, "typed", tmp_path / "two.parquet").version == 2


@pytest.mark.parametrize(
    ("query", "found"),
    [("SELECT '1.5' AS x, 'a' AS zip", "'x'.*text, not number"),
     ("SELECT 1.5 AS x, 1234 AS zip", "'zip'.*integer, not text")],
)  # fmt: skip
def test_a_query_with_another_type_is_refused(
    project: Project, tmp_path: Path, shop: Path, query: str, found: str
) -> None:
    (tmp_path / "first.csv").write_text("x,zip\n1.5,a\n2.5,b\n")
    ingest.add(project, "typed", tmp_path / "first.csv")
    with pytest.raises(CheckFailedError, match=found):
        ingest.add(project, "typed", QuerySource(f"sqlite:///{shop}", query, tmp_path))


def test_decimals_keep_their_digits(project: Project, tmp_path: Path) -> None:
    big = pa.array([10**30 + 7, None], pa.decimal128(38, 0))
    small = pa.array([2**53 + 1, 5], pa.decimal128(38, 0))
    pq.write_table(pa.table({"big": big, "small": small}), tmp_path / "d.parquet")
    added = ingest.add(project, "d", tmp_path / "d.parquet")
    assert ingest.load_table(project, added.sha256).to_pylist() == [
        {"big": str(10**30 + 7), "small": 2**53 + 1}, {"big": None, "small": 5},
    ]  # fmt: skip


def test_entities_of_a_csv_file_are_text(project: Project, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("who,x\n7,1\n8,2\n")
    added = ingest.add(project, "c", tmp_path / "c.csv", entity="who")
    assert ingest.load_table(project, added.sha256)["who"].to_pylist() == ["7", "8"]
    (tmp_path / "d.csv").write_text("who,x\n7,1\n8,2\n")
    ingest.add(project, "d", tmp_path / "d.csv")
    (tmp_path / "d.csv").write_text("who,x\n7,1\n9,2\n")
    later = ingest.add(project, "d", tmp_path / "d.csv", entity="who")  # the rules stand
    assert ingest.load_table(project, later.sha256)["who"].to_pylist() == [7, 9]


def test_what_was_said_of_marks_and_headers_holds_for_the_next_file(
    project: Project, tmp_path: Path
) -> None:
    file = tmp_path / "m.csv"
    file.write_text("NA,1\nb,2\nb,9\nc,1\nc,1\n")
    said = Stated(missing=("NA",), names="v,n")
    first = ingest.add(project, "m", FileSource(file, said))
    assert ingest.load_table(project, first.sha256)["v"].to_pylist()[:2] == [None, "b"]
    file.write_text("NA,3\nc,4\n")
    again = ingest.add(project, "m", file)
    assert ingest.load_table(project, again.sha256)["v"].to_pylist() == [None, "c"]
    file.write_text("v,n\nNA,3\nb,4\n")  # now it has a header
    third = ingest.add(project, "m", file)
    assert ingest.load_table(project, third.sha256)["v"].to_pylist() == [None, "b"]


def test_the_same_file_is_read_again_when_the_rules_have_another_type(
    project: Project, tmp_path: Path
) -> None:
    (tmp_path / "q.csv").write_text('d,n\n"2026-01-31",1\n"2026-02-01",2\n')
    ingest.add(project, "q", tmp_path / "q.csv")
    rules = project.schemas_dir / "q.yaml"
    rules.write_text("columns:\n  d:\n    dtype: datetime\n  n:\n    dtype: Int64\n")
    added = ingest.add(project, "q", tmp_path / "q.csv")
    assert (added.version, added.new) == (2, True)
    assert str(ingest.load_table(project, added.sha256).schema.field("d").type) == (
        "timestamp[us, tz=UTC]"
    )
    assert not ingest.add(project, "q", tmp_path / "q.csv").new


def test_a_link_in_a_circle_is_no_file(project: Project, tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    with pytest.raises(InvalidInputError, match="one is not a file"):
        ingest.add(project, "loop", tmp_path / "one")


def _remember(project: Project, shop: Path, change: str = "") -> None:
    """Add from a query, and edit the row about it as a stranger with the file does."""
    url = f"sqlite:///{shop}"
    ingest.add(project, "orders", QuerySource(url, "SELECT * FROM orders LIMIT 50", Path()))
    if change:
        with project.database.write() as s:
            s.execute(text("UPDATE dataset_version SET transformation = :made"), {"made": change})


@pytest.mark.parametrize(
    "change",
    [
        '{"kind": "query", "url": "postgresql://${MLKIT_SECRET}@h/x", "query": "TABLE x"}',
        '{"kind": "query", "url": "sqlite:////etc/other.db", "query": "SELECT 1"}',
    ],
)
def test_an_edited_row_is_not_asked(
    project: Project, shop: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setenv("MLKIT_SECRET", "s3cret")
    _remember(project, shop, change)
    with pytest.raises(DamagedError, match="orders@1 is not as the audit trail recorded it"):
        ingest.pull(project, "orders")


def test_variables_are_filled_in_where_a_person_states_them_and_not_from_a_row(
    project: Project, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLKIT_SHOP", str(shop.parent))
    url, query = "sqlite:///${MLKIT_SHOP}/shop.db", "SELECT * FROM orders LIMIT 50"
    monkeypatch.setattr(foreign, "parse", lambda text, _folder: make_url(text))
    added = ingest.add(project, "orders", QuerySource(url, query, Path()))
    assert added.rows == 50
    with pytest.raises(InvalidInputError, match=r"remembered in the database.*mlkit\.toml"):
        ingest.pull(project, "orders")
    assert ingest.pull(with_source(project, "orders", source=url, query=query), "orders").rows == 50
    remembered = query_source.remembered(project, "orders")
    assert remembered is not None
    assert not remembered.stated
    chosen = with_source(project, "orders", source=url, query="SELECT 2")
    assert query_source.remembered(chosen, "orders") == QuerySource(url, query, project.root)
