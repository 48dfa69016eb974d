"""What every release recorded of how rows were made can be read, and is written as it was."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from mlkit import provenance
from mlkit.errors import DamagedError
from mlkit.project import Project
from mlkit.provenance import Csv, File, Join, Log, Query, Unknown, Window
from mlkit.store import datasets
from mlkit.store.datasets import Dataset, DatasetVersion

_VIEW = {
    "name": "sky", "version": 2, "dataset": "weather@1", "columns": ["wind"], "types": ["number"],
    "entity": "station", "key": "text", "ttl": "3h", "on_missing": {"wind": 0.5}, "digest": "ab",
}  # fmt: skip
_FUNCTION = {"name": "rate", "version": 1, "inputs": ["age"], "columns": ["r"], "digest": "cd"}
_CSV = {
    "format": "csv", "delimiter": ";", "encoding": "utf-8", "decimal": ",", "thousands": None,
    "compression": None,
}  # fmt: skip
_LOG = {"kind": "log", "model": "churn", "start": "2026-06-07", "end": "2026-09-05"}
_FULL_LOG = {
    **_LOG, "versions": [1, 2], "until": None, "picked": "ef", "types": {"age": "integer"},
    "left_out": {"duplicates": 3, "unripe": 0},
}  # fmt: skip
RECORDED: list[tuple[dict[str, Any], type]] = [
    ({}, Unknown),
    ({"kind": "of tomorrow", "format": 1}, Unknown),
    ({"kind": "file"}, File),
    ({"kind": "file", "stated": {}, "read_as": _CSV}, File),
    ({"kind": "file", "stated": {"missing": ["NA"], "header": False, "names": "a,b"},
      "read_as": {**_CSV, "missing": ["NA"], "header": False}}, File),
    ({"kind": "file", "stated": {}, "read_as": {"format": "parquet"},
      "quarantine": {"rows": 3, "of": 400, "file": "quarantine/a.csv"}}, File),
    ({"kind": "query", "url": "sqlite:///shop.db", "query": "SELECT 1",
      "quarantine": {"rows": 3, "of": 400}}, Query),
    (_LOG, Log),
    (_FULL_LOG, Log),
    ({**_FULL_LOG, "base": "churn@3", "since": None}, Log),
    ({**_FULL_LOG, "base": "churn@3", "since": "2026-01-01T00:00:00+00:00", "format": 1}, Log),
    ({"kind": "window", "base": "churn@1", "since": None, "left_out": {"duplicates": 0}}, Window),
    ({"kind": "join", "base": "trips@1", "views": [], "on_demand": [_FUNCTION]}, Join),
    ({"kind": "join", "base": "trips@1", "views": [_VIEW, {**_VIEW, "dataset": None}],
      "on_demand": [], "databases": {"sky": "postgresql://h/x"}}, Join),
]  # fmt: skip


@pytest.mark.parametrize(("recorded", "kind"), RECORDED)
def test_what_any_release_recorded_is_read_and_none_of_it_is_lost(
    recorded: dict[str, Any], kind: type
) -> None:
    made = provenance.read(recorded)
    assert type(made) is kind
    written = msgspec.json.decode(msgspec.json.encode(provenance.written(made)))
    assert {key: written[key] for key in recorded} == recorded
    assert provenance.read(written) == made


def test_no_key_is_made_up_for_what_a_release_of_today_records() -> None:
    log = Log(model="m", start="a", end="b", picked="c")
    assert set(provenance.written(log)) == set(_FULL_LOG)
    assert set(provenance.written(Window(base="a@1"))) == {
        "kind", "base", "since", "left_out"
    }  # fmt: skip
    assert set(provenance.written(Join(base="a@1"))) == {
        "kind", "base", "views", "on_demand"
    }  # fmt: skip
    read_as = Csv(delimiter=",", encoding="utf-8", decimal=".", thousands=None, compression=None)
    assert provenance.written(File(read_as=read_as))["read_as"] == {
        **_CSV, "delimiter": ",", "decimal": "."
    }  # fmt: skip


@pytest.mark.parametrize(
    "recorded",
    [
        [], "file", 3, {"kind": "file", "format": 2}, {"kind": ["file"]}, {"kind": None},
        {"kind": "query", "url": "sqlite:///x"}, {"kind": "log", "model": "m", "start": "a"},
        {"kind": "join", "views": []}, {"kind": "file", "read_as": {"format": "xlsx"}},
        {"kind": "window", "base": 3},
    ],
)  # fmt: skip
def test_what_no_release_recorded_is_an_error_that_names_the_version(recorded: Any) -> None:
    version = DatasetVersion(dataset=Dataset(name="churn"), number=4, transformation=recorded)
    with pytest.raises(DamagedError, match="churn@4 is not as it was recorded: transformation is"):
        version.provenance  # noqa: B018


@pytest.mark.parametrize(
    "load",
    [
        lambda s: datasets.get_version(s, "churn", 2),
        lambda s: datasets.newest(s, "churn"),
        datasets.outline,
        lambda s: datasets.get(s, "churn").versions,
        lambda s: list(datasets.versions(s)),
    ],
)
def test_a_row_that_was_edited_is_refused_by_name_however_it_is_loaded(
    project: Project, load: Callable[[Session], object]
) -> None:
    now = project.now()
    with project.write() as s:
        dataset = Dataset(name="churn", created_at=now)
        s.add_all(
            DatasetVersion(
                dataset=dataset, number=number, sha256="0" * 64, rows=1, schema_yaml="",
                profile={"columns": []}, source="a.csv", parents=[], provenance=File(),
                warnings=[], created_at=now,
            )
            for number in (1, 2)
        )  # fmt: skip
    with project.write() as s:
        edited = '{"kind": "join", "views": 3}'
        s.execute(
            text("UPDATE dataset_version SET transformation = :made WHERE number = 2"),
            {"made": edited},
        )
    with project.read() as s, pytest.raises(DamagedError, match="the row of churn@2 is not as it"):
        load(s)
