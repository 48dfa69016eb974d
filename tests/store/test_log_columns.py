"""The table of the log's columns: what an entry has reaches the database, and comes back."""

import struct
from datetime import UTC, datetime

from sqlalchemy.dialects import postgresql, sqlite

from mlkit.store import log_columns
from mlkit.store.log_columns import COLUMNS, Entry, Prediction

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)


def entry(ids: list[str], entities: list[str | None] | None, rows: list[float]) -> Entry:
    return Entry(
        request_id=f"r{ids[0]}", model_id=3, version_id=4, version=1, role="champion",
        served_us=int(AT.timestamp()) * 1_000_000, latency_us=42, ids=ids, entities=entities,
        features=struct.pack(f"<{len(rows)}d", *rows), values=[0.5, "yes"][: len(ids)],
        probabilities=None if entities is None else [[0.25, 0.75]] * len(ids),
    )  # fmt: skip


def test_an_entry_fills_every_column_of_the_database_but_the_number_of_the_row() -> None:
    entries = [entry(["a", "b"], ["ann", None], [1.0, 2.0, 3.0, 4.0]), entry(["c"], None, [5.0])]
    found = log_columns.to_store(entries, sqlite.dialect())
    assert {"seq", *found} == set(Prediction.__table__.columns.keys())
    expected = {
        "id": ["a", "b", "c"],
        "request_id": ["ra", "ra", "rc"],
        "model_id": [3, 3, 3],
        "model_version_id": [4, 4, 4],
        "role": ["champion"] * 3,
        "entity": ["ann", None, None],
        "features": ["[1.0,2.0]", "[3.0,4.0]", "[5.0]"],
        "value": ["0.5", '"yes"', "0.5"],
        "probabilities": ["[0.25,0.75]", "[0.25,0.75]", None],
        "latency_us": [42, 42, 42],
        "served_at": [AT.replace(tzinfo=None)] * 3,
    }
    assert {name: list(found[name]) for name in expected} == expected


def test_an_answer_that_is_no_number_is_stored_as_the_null_of_json() -> None:
    (text,) = log_columns.to_store(
        [Entry("r", 1, 1, 1, "champion", 0, 0, ["i"], None, [(1,)], [float("nan")], None)],
        postgresql.dialect(),
    )["value"]
    assert text == "null"


def test_what_was_read_has_values_in_the_place_of_json_texts() -> None:
    row = {column.name: None for column in COLUMNS} | {
        "id": "a", "features": '["x",1]', "value": '"yes"', "probabilities": "[0.25,0.75]",
    }  # fmt: skip
    found = log_columns.decoded(row.values())
    assert found == row | {"features": ["x", 1], "value": "yes", "probabilities": [0.25, 0.75]}
