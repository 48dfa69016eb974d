"""URLs of other databases: what of them is shown, and what the environment fills in."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.engine import URL, make_url

from mlkit.errors import InvalidInputError
from mlkit.store import foreign


def test_variables_are_filled_in_wherever_they_stand_and_shown_as_they_are() -> None:
    text = "postgresql://host/shop?password=${SHOP}&options=${A}&options=-c x&user=ann"
    url = foreign.parse(text, Path())
    assert "password=${SHOP}" in foreign.public(url)
    filled = foreign.fill(url, {"SHOP": "s$1&x", "A": "b"})
    assert dict(filled.query) == {"password": "s$1&x", "options": ("b", "-c x"), "user": "ann"}
    assert "s$1" not in foreign.public(filled)
    again = foreign.parse(foreign.public(url), Path())
    assert again.query["password"] == "${SHOP}"
    with pytest.raises(InvalidInputError, match="names the variable SHOP"):
        foreign.fill(url, {"A": "b"})


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Somebody else's database, in a folder with nothing else in it."""
    (tmp_path / "shop").mkdir()
    file = tmp_path / "shop" / "a?b%41.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(
            "CREATE TABLE orders (id INTEGER, price REAL); INSERT INTO orders VALUES (1, 2.5);"
        )
    return file


def _rows(file: Path, query: str) -> list[tuple[object, ...]]:
    url = URL.create("sqlite", database=str(file))
    with foreign.select(url, query, chunk=10, label="shop") as (_, chunks):
        return [tuple(row) for chunk in chunks for row in chunk]


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT * FROM orders", [(1, 2.5)]),
        ("-- all\n /* of */ SELECT upper('a;b')", [("A;B",)]),
        ("WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 3) "
         "SELECT i FROM n", [(1,), (2,), (3,)]),
        ("SELECT name FROM pragma_table_info('orders')", [("id",), ("price",)]),
        ("SELECT value FROM json_each('[1, 2]')", [(1,), (2,)]),
        ("VALUES (1)", [(1,)]),
    ],
)  # fmt: skip
def test_a_query_that_reads_is_answered(
    shop: Path, query: str, rows: list[tuple[object, ...]]
) -> None:
    assert _rows(shop, query) == rows


@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize(
    "query",
    [
        "ATTACH '{new}' AS other", "ATTACH DATABASE 'file:{new}?mode=rwc' AS other",
        "VACUUM INTO '{new}'", "VACUUM", "-- SELECT\nVACUUM INTO '{new}'",
        "CREATE TABLE t (x)", "CREATE TEMP TABLE t (x)", "CREATE VIRTUAL TABLE t USING fts5(x)",
        "CREATE TABLE t AS SELECT 1", "DROP TABLE orders", "ALTER TABLE orders ADD COLUMN z",
        "INSERT INTO orders VALUES (2, 3)", "INSERT INTO orders VALUES (2, 3) RETURNING id",
        "DELETE FROM orders RETURNING id", "UPDATE orders SET price = 0 RETURNING id",
        "WITH x AS (SELECT 1) DELETE FROM orders RETURNING id", "REPLACE INTO orders VALUES (1, 1)",
        "PRAGMA journal_mode = DELETE", "PRAGMA journal_mode = WAL", "PRAGMA user_version = 7",
        "PRAGMA writable_schema = ON", "PRAGMA query_only = OFF", "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA temp_store_directory = '{new}'", "SELECT * FROM pragma_journal_mode('delete')",
        "SELECT load_extension('{new}')", "SELECT writefile('{new}', 'x')",
        "SELECT 1; ATTACH '{new}' AS other", "BEGIN IMMEDIATE", "SAVEPOINT x", "REINDEX", "ANALYZE",
        "DETACH main",
    ],
)  # fmt: skip
def test_a_query_that_does_anything_else_is_refused_and_leaves_no_file(
    shop: Path, tmp_path: Path, query: str, journal: str
) -> None:
    with closing(sqlite3.connect(shop)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
    before = shop.read_bytes()
    with pytest.raises(InvalidInputError):
        _rows(shop, query.format(new=tmp_path / "new"))
    assert shop.read_bytes() == before
    beside = {f"{shop.name}-wal", f"{shop.name}-shm"}  # of SQLite's own, to read
    assert {file.name for file in shop.parent.iterdir()} - beside == {shop.name}
    assert not (tmp_path / "new").exists()
    assert _rows(shop, "SELECT id FROM orders") == [(1,)]


@pytest.mark.parametrize(
    "query",
    [
        "COPY orders TO '/tmp/x'", "copy (select 1) to program 'touch /tmp/x'",
        "/* SELECT */ COPY x",
        "SELECT * FROM orders INTO OUTFILE '/tmp/x'", "SELECT 1 INTO\n DUMPFILE '/tmp/x'",
        "SELECT '--' INTO OUTFILE '/tmp/x'", "SELECT '/*', 1 INTO OUTFILE '/tmp/x' -- */",
        "SELECT 1 /*! INTO OUTFILE '/tmp/x' */", "SELECT 1 INTO # one\n OUTFILE '/tmp/x'",
        "ATTACH 'x.duckdb'", "EXPORT DATABASE 'x'", "DO $$ BEGIN END $$", "CALL f()",
        "GRANT a TO b",
    ],
)  # fmt: skip
def test_what_writes_files_elsewhere_is_refused_before_it_is_sent(query: str) -> None:
    url = make_url("postgresql+psycopg://nobody@127.0.0.1:1/none")
    with (
        pytest.raises(InvalidInputError, match="used readonly"),
        foreign.select(url, query, chunk=1, label="there"),
    ):
        pass


@pytest.mark.parametrize(
    "query",
    ["VACUUM INTO '{}'", "ATTACH '{}' AS x", "DELETE FROM visits", "PRAGMA journal_mode = WAL"],
)
def test_a_query_over_rows_in_memory_reads_and_makes_no_file(tmp_path: Path, query: str) -> None:
    file = tmp_path / "made.sqlite"
    with pytest.raises(InvalidInputError, match="the query failed"):
        foreign.over_rows("visits", ["a"], [(1,)], query.format(file))
    assert not file.exists()
    text = """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3)
    SELECT count(*) AS c, max(lower(a)) AS m FROM visits, n GROUP BY 2 - 1
    """
    assert foreign.over_rows("visits", ["a"], [("B",)], text) == (["c", "m"], [(3, "b")])
