"""A ``db.url`` that cannot be is named as the setting that it is, without what may be secret."""

from typing import Any

import pytest

from mlkit.errors import InvalidInputError
from mlkit.store.dialects import database_url
from mlkit.store.engine import Database

WRONG = [
    "nonsense", "://", " ", "postgresql", "${DB}", "http://h/x", "mysql://h/db", "postgres://h/db",
    "duckdb:///x", "postgresql://h:port/db", "postgresql+psycopg://h:99999999/db",
    "postgresql+psycopg://h:0/db", "postgresql+psycopg://u:s3cret@[::1/db",
    "postgresql+psycopg://h/db?port=abc", "postgresql+nodriver://h/db", "sqlite+nodriver:///x",
    "sqlite+aiosqlite:///x", "sqlite://", "sqlite:///", "sqlite:///:memory:",
    "sqlite:///a\0b", "postgresql+psycopg://u:s3cret\0@h/db",
]  # fmt: skip


@pytest.mark.parametrize("url", WRONG)
def test_a_url_that_cannot_be_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^db\.url.*write postgresql\+psycopg") as caught:
        database_url.check(url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["sqlite:////srv/ml.sqlite", "sqlite:///ml.sqlite", "postgresql+psycopg://u:p@h:5432/db",
            "postgresql+psycopg://u@/db?host=/run/postgresql"],
)  # fmt: skip
def test_one_that_can_be_passes(url: str) -> None:
    database_url.check(url)


@pytest.mark.parametrize(
    "url",
    [
        "nonsense", "postgresql://h:port/db", "mysql://h/db",
        "postgresql+psycopg://127.0.0.1:1/db?foo=bar&password=s3cret",
        "postgresql+psycopg://127.0.0.1:1/db?connect_timeout=abc",
    ],
)  # fmt: skip
@pytest.mark.parametrize("words", [["status"], ["doctor"], ["db", "status"]])
def test_no_command_ends_with_a_traceback(
    cli: Any, monkeypatch: pytest.MonkeyPatch, url: str, words: list[str]
) -> None:
    monkeypatch.setenv("MLKIT_DB_URL", url)
    done = cli(*words, code=None)
    assert done.exit_code in (1, 3, 4)
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert "s3cret" not in done.output


def test_the_place_of_a_database_is_told_without_its_options() -> None:
    place = Database("postgresql+psycopg://ann:s3cret@host/shop?password=s3cret").location
    assert place == "host/shop"
