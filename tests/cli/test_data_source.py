import os
import pty
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest


def _sold(tmp_path: Path, encoding: str = "utf-8") -> Path:
    file = tmp_path / "sold.csv"
    file.write_bytes("ort;preis\nKöln;1.250,00\nBern;80,50\n".encode(encoding))
    return file


def test_how_a_file_was_read_is_said(cli: Any, tmp_path: Path) -> None:
    said = cli("data", "add", "sold", _sold(tmp_path), "--thousands", ".").stdout
    assert "read as CSV: delimiter ';', encoding utf-8, decimal ',', thousands '.'" in said
    shown = cli.json("data", "show", "sold")
    assert [column["type"] for column in shown["columns"]] == ["text", "number"]


def test_an_encoding_has_to_be_said_once(cli: Any, tmp_path: Path) -> None:
    file = _sold(tmp_path, "cp1252")
    refused = cli("data", "add", "sold", file, "--thousands", ".", code=1).stderr
    assert "byte 0xf6 in line 2" in refused
    assert "--encoding cp125" in refused
    options = ("--thousands", ".", "--encoding", "cp1252")
    assert cli.json("data", "add", "sold", file, *options)["read_as"]["encoding"] == "cp1252"
    assert cli.json("data", "validate", "sold", file)["valid"] is True
    assert cli.json("data", "add", "sold", file)["new"] is False


def test_rows_come_through_a_pipe(cli: Any, churn_csv: Path) -> None:
    for content in (
        churn_csv.read_bytes(),
        pa.compress(churn_csv.read_bytes(), "zstd").to_pybytes(),
    ):
        words = [sys.executable, "-m", "mlkit", "--project", cli.root, "data", "add", "churn", "-"]
        done = subprocess.run(words, input=content, capture_output=True, check=True)
        assert b"churn@1" in done.stdout
    assert not (cli.root / "data" / "scratch").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("x.csv", "--source", "sqlite:///a.db"), "--source and --query go together"),
        (("--query", "SELECT 1"), "--source and --query go together"),
        (("x.csv", "--source", "sqlite:///a", "--query", "q"), "give either a FILE or"),
        (("--source", "sqlite:///a", "--query", "q", "--decimal", ","), "cast the values in the"),
        (("--encoding", "cp1252"), "these options need a FILE"),
    ],
)
def test_options_that_do_not_go_together_are_a_usage_error(
    cli: Any, words: tuple[str, ...], message: str
) -> None:
    assert message in cli("data", "add", "x", *words, code=2).stderr


def test_a_password_is_never_told(cli: Any) -> None:
    url = "postgresql+psycopg://ann:hunter2@127.0.0.1:1/shop?sslpassword=hunter2"
    words = ("data", "add", "x", "--source", url, "--query", "SELECT 1")
    refused = cli(*words, code=1)
    assert "hunter2" not in refused.output
    assert "postgresql+psycopg://ann@127.0.0.1:1/shop" in refused.stderr


def test_a_query_is_added_and_pulled(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with sqlite3.connect("shop.db") as connection:
        connection.execute("CREATE TABLE t (n INTEGER)")
        connection.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(60)])
    words = ("--source", "sqlite:///shop.db", "--query", "SELECT n FROM t ORDER BY n")
    assert cli.json("data", "add", "shop", *words)["rows"] == 60
    monkeypatch.chdir(cli.root)
    assert "these rows are shop@1 already" in cli("data", "pull", "shop").stdout
    with connection:
        connection.execute("INSERT INTO t VALUES (60)")
    connection.close()
    assert cli.json("data", "pull", "shop")["version"] == 2


def test_a_bar_shows_the_bytes_that_are_read(cli: Any, tmp_path: Path) -> None:
    file = tmp_path / "large.csv"
    file.write_bytes(b"n,t\n" + b"1,some words\n" * 1_500_000)
    mine, theirs = pty.openpty()
    words = [sys.executable, "-m", "mlkit", "--project", cli.root, "data", "add", "x", file]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += (piece := os.read(mine, 1 << 16))
        except OSError:  # the other end is closed
            break
        if not piece:
            break
    os.close(mine)
    out, _ = process.communicate()
    assert process.returncode == 0
    assert b"added x@1" in out
    assert b" of 19 MB" in shown
    assert b"reading" in shown
