"""The log as readers see it: journals, database and segments are one log."""

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import chain

import pyarrow as pa
import pytest
from sqlalchemy import select, text

from mlkit.errors import NotFoundError
from mlkit.flows.log import actuals, imports, log_segments, logs, retention
from mlkit.flows.log.actuals import ActualItem
from mlkit.project import Project
from mlkit.store import journal, predictions, requests
from mlkit.store.base import new_ids
from mlkit.store.journal import Journal
from mlkit.store.log_columns import Entry, Prediction
from mlkit.store.registry import ModelVersion

Register = Callable[..., ModelVersion]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def record(
    log: Journal, version: ModelVersion, at: datetime, *, rows: int = 1, age: int = 30
) -> list[str]:
    """Put an answered request on record and return the ids of its predictions."""
    own_id, *ids = new_ids(at, rows + 1)
    features: dict[str, object] = {
        "since": "2026-01-01T00:00:00Z", "age": age, "plan": "pro", "spend": 1.5, "active": True,
        "churned": "no",
    }  # fmt: skip
    names = [column["name"] for column in version.input_schema["columns"]]
    regression = version.input_schema["task"] == "regression"
    entry = Entry(
        request_id=own_id,
        model_id=version.model_id,
        version_id=version.id,
        version=version.number,
        role="champion",
        served_us=(at - EPOCH) // timedelta(microseconds=1),
        latency_us=100,
        ids=ids,
        entities=["c1"] * rows,
        features=[tuple(features[name] for name in names)] * rows,
        values=[3.5 if regression else "yes"] * rows,
        probabilities=None if regression else [[0.25, 0.75]] * rows,
    )
    log.append(entry, at)
    return ids


@pytest.fixture
def log(project: Project) -> Journal:
    return Journal(project.journal_dir)


def test_a_reader_sees_what_a_living_server_has_just_answered(
    project: Project, register: Register, log: Journal
) -> None:
    ids = record(log, register(project), project.now(), rows=3)
    table = logs.read(project, "churn")
    assert table["_id"].to_pylist() == ids
    assert len(journal.files(project.journal_dir)) == 1  # it is still the server's


def test_every_column_has_its_type(project: Project, register: Register, log: Journal) -> None:
    at = datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
    (identifier,) = record(log, register(project), at)
    table = logs.read(project, "churn")
    row = table.to_pylist()[0]
    assert row == row | {
        "_id": identifier,
        "_version": 1,
        "_role": "champion",
        "_entity": "c1",
        "_served_at": at,
        "_latency_us": 100,
        "_value": "yes",
        "_probabilities": [0.25, 0.75],
        "_actual": None,
        "since": datetime(2026, 1, 1, tzinfo=UTC),
        "age": 30,
        "plan": "pro",
        "spend": 1.5,
        "active": True,
    }
    types = {field.name: field.type for field in table.schema}
    assert types["age"] == pa.int64()
    assert types["spend"] == pa.float64()
    assert types["active"] == pa.bool_()
    assert types["_served_at"] == types["since"] == pa.timestamp("us", "UTC")


def test_the_window_is_closed_at_its_start_and_open_at_its_end(
    project: Project, register: Register, log: Journal
) -> None:
    version = register(project)
    start = datetime(2026, 5, 1, tzinfo=UTC)
    for minutes in range(4):
        record(log, version, start + timedelta(minutes=minutes))
    table = logs.read(
        project, "churn", start=start + timedelta(minutes=1), end=start + timedelta(minutes=3)
    )
    assert table.num_rows == 2


def test_only_rows_with_an_actual_when_it_is_required(
    project: Project, register: Register, log: Journal
) -> None:
    first, second = record(log, register(project, "spend"), project.now(), rows=2)
    actuals.add(project, [ActualItem(second, 7)])
    table = logs.read(project, "spend", actuals="required")
    assert table["_id"].to_pylist() == [second]
    assert table["_actual"].to_pylist() == [7.0]
    assert logs.read(project, "spend")["_id"].to_pylist() == [first, second]


def test_versions_with_other_columns_share_one_table(
    project: Project, register: Register, log: Journal
) -> None:
    one = register(project)
    record(log, one, project.now())
    other = register(project)
    with project.write() as s:
        two = s.get_one(ModelVersion, other.id)
        columns = [c for c in two.input_schema["columns"] if c["name"] != "plan"]
        columns = [c | {"kind": "number"} if c["name"] == "age" else c for c in columns]
        columns.append({"name": "churned", "kind": "category"})
        two.input_schema = two.input_schema | {"columns": columns}
    record(log, two, project.now(), age=31)
    table = logs.read(project, "churn")
    assert table["plan"].to_pylist() == ["pro", None]
    assert table["churned"].to_pylist() == [None, "no"]
    assert table["age"].to_pylist() == [30.0, 31.0]
    assert "churned" not in logs.read(project, "churn", version=1).column_names


def test_an_unknown_model_is_named(project: Project) -> None:
    with pytest.raises(NotFoundError, match="no model named 'nope'"):
        logs.read(project, "nope")


def test_the_journal_of_a_dead_server_is_moved_once_and_removed(
    project: Project, register: Register, log: Journal
) -> None:
    ids = record(log, register(project), project.now(), rows=2)
    path = log.close()
    assert path is not None
    content = path.read_bytes()
    assert imports.collect(project) == 2
    assert not path.exists()
    path.write_bytes(content)  # killed after the commit, before the file was removed
    assert logs.sync(project) == 2
    assert logs.read(project, "churn")["_id"].to_pylist() == ids


def test_the_journal_of_a_living_server_is_not_taken_away(
    project: Project, register: Register, log: Journal
) -> None:
    version = register(project)
    record(log, version, project.now())
    assert imports.collect(project) == 0
    assert logs.sync(project) == 1
    record(log, version, project.now())
    assert logs.read(project, "churn").num_rows == 2


def test_rows_of_a_version_that_the_database_does_not_know_are_kept_aside(
    project: Project, register: Register, log: Journal, capfd: pytest.CaptureFixture[str]
) -> None:
    version = register(project)
    record(log, version, project.now())
    version.id = 99
    record(log, version, project.now())
    log.close()
    logs.sync(project)
    assert logs.read(project, "churn").num_rows == 1
    assert [file.suffix for file in project.journal_dir.iterdir()] == [".damaged"]
    assert "is damaged" in capfd.readouterr().err


def test_numbers_that_were_packed_are_read_like_those_that_were_not(
    project: Project, register: Register, log: Journal
) -> None:
    version = register(project)
    with project.write() as s:
        stored = s.get_one(ModelVersion, version.id)
        columns = [{"name": name, "kind": "number"} for name in ("a", "b")]
        stored.input_schema = stored.input_schema | {"columns": columns}
    rows = [(0.1, -0.0), (1e308, 5e-324), (3.0, 2.0)]
    for features in (rows, struct.pack("<6d", *chain.from_iterable(rows))):
        own_id, *ids = new_ids(project.now(), 4)
        log.append(
            Entry(
                own_id, version.model_id, version.id, 1, "champion", 0, 1, ids, None,
                features, ["yes"] * 3, None,
            ),
            project.now(),
        )  # fmt: skip
    table = logs.read(project, "churn")
    assert list(zip(table["a"].to_pylist(), table["b"].to_pylist(), strict=True)) == [*rows, *rows]
    with project.read() as s:
        texts = list(s.scalars(select(Prediction.features).order_by(Prediction.seq)))
    assert texts[:3] == texts[3:] == ["[0.1,-0.0]", "[1e308,5e-324]", "[3.0,2.0]"]


def test_a_request_is_found_again_in_the_database(
    project: Project, register: Register, log: Journal
) -> None:
    version = register(project)
    ids = record(log, version, project.now(), rows=12)
    log.close()
    logs.sync(project)
    with project.read() as s:
        request_id = s.scalars(select(Prediction.request_id)).first()
        assert request_id is not None
        request = requests.Request(
            model_id=version.model_id, request_id=request_id, owner="", digest="d",
            first_id=ids[0], last_id=ids[-1], served_at=project.now(),
        )  # fmt: skip
        rows = predictions.of_request(s, request)
        request.model_id += 1
        assert not predictions.of_request(s, request)
    assert [row.id for row in rows] == ids
    assert {row.version for row in rows} == {1}


def test_the_view_names_the_columns_of_every_version(
    project: Project, register: Register, log: Journal
) -> None:
    record(log, register(project), project.now())
    (identifier,) = record(log, register(project), project.now(), age=31)
    logs.sync(project)
    actuals.add(project, [ActualItem(identifier, "no")])
    with project.read() as s:
        rows = s.execute(
            text("SELECT version, value, actual, age, plan, active FROM log_churn ORDER BY seq")
        ).all()
    assert [tuple(row) for row in rows] == [
        (1, "yes", None, 30, "pro", 1),
        (2, "yes", "no", 31, "pro", 1),
    ]


def test_a_text_with_every_kind_of_line_end_is_one_value(
    project: Project, register: Register
) -> None:
    version = register(project)
    log = Journal(project.journal_dir)
    strange = 'a\nb\r\x0b\x0c\x1c\x85\u2028\u2029"\\'
    names = [column["name"] for column in version.input_schema["columns"]]
    at = project.now()
    ids = new_ids(at, 3)
    entry = Entry(
        request_id=ids[0], model_id=version.model_id, version_id=version.id,
        version=version.number, role="champion", latency_us=1,
        served_us=(at - EPOCH) // timedelta(microseconds=1),
        ids=ids[1:], entities=None,
        features=[tuple(strange if name == "plan" else None for name in names)] * 2,
        values=[strange, "no"], probabilities=[[0.5, 0.5]] * 2,
    )  # fmt: skip
    log.append(entry, at)
    log.close()
    table = logs.read(project, "churn")
    assert table["plan"].to_pylist() == [strange, strange]
    assert table["_value"].to_pylist() == [strange, "no"]


def test_the_newest_rows_are_found_without_reading_older_ones(
    project: Project, register: Register, log: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = register(project)
    now = project.now()
    for days in (9, 8, 3, 2, 0):
        record(log, version, now - timedelta(days=days), rows=2, age=30 + days)
    log.close()
    retention.seal(project, older_than="1d")
    loaded: list[str] = []
    load = log_segments.load
    monkeypatch.setattr(
        log_segments, "load", lambda p, each: loaded.append(each.day) or load(p, each)
    )
    for rows, ages, segments in ((1, [30], 0), (2, [30] * 2, 0), (5, [33, 32, 32, 30, 30], 2)):
        loaded.clear()
        found = logs.newest(project, "churn", version=version.number, rows=rows)
        assert found["age"].to_pylist() == ages
        assert len(loaded) == segments
    assert logs.newest(project, "churn", version=version.number, rows=99).num_rows == 10
