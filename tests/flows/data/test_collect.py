"""What ``data gc`` takes, and what it never takes."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlkit.errors import BusyError, ConflictError
from mlkit.flows.alerts import alerting
from mlkit.flows.data import (
    catalog,
    collect,
    data_export,
    ingest,
    leftovers,
    scratch,
    version_files,
)
from mlkit.flows.doctor import checkup
from mlkit.flows.lineage import ask, rebuild
from mlkit.flows.operations import backup
from mlkit.flows.training import train
from mlkit.project import Project
from mlkit.store import audit, datasets
from mlkit.store.disk import locks

Frames = Callable[..., pd.DataFrame]


@pytest.fixture
def grown(trained: Project, churn: Frames) -> Project:
    """The dataset churn with a model on its first version and four more, each of a file."""
    for number in (2, 3, 4, 5):
        file = trained.root / f"churn{number}.csv"
        churn(rows=400 + number, seed=number).to_csv(file, index=False)
        ingest.add(trained, "churn", file)
    return trained


def _taken(found: collect.Collected) -> list[str]:
    return [one.reference for one in found.versions]


def _file(project: Project, number: int) -> Path:
    with project.read() as s:
        return project.data.path(datasets.get_version(s, "churn", number).sha256)


@pytest.mark.usefixtures("warm_loading")
def test_only_versions_that_nothing_refers_to_are_taken(grown: Project) -> None:
    seen = collect.look(grown)
    assert (_taken(seen), seen.dry_run) == (["churn@2", "churn@3", "churn@4"], True)
    assert _file(grown, 2).is_file()
    size = sum(_file(grown, number).stat().st_size for number in (2, 3, 4))
    done = collect.collect(grown)
    assert (_taken(done), done.size_bytes, done.files) == (_taken(seen), size, 0)
    assert [_file(grown, number).is_file() for number in (1, 2, 3, 4, 5)] == [
        True, False, False, False, True,
    ]  # fmt: skip
    assert _taken(collect.collect(grown)) == []
    with grown.read() as s:
        events = s.query(audit.AuditEvent).filter_by(action="data gc").all()
        assert [event.subject for event in events] == _taken(seen)
    found = checkup.examine(grown.root).checks
    assert {line.level for line in found if line.check in ("data", "models")} == {"ok"}


def test_what_a_kept_version_was_made_of_is_kept(grown: Project) -> None:
    with grown.write() as s:
        datasets.get_version(s, "churn", 5).transformation = {
            "kind": "join",
            "base": "churn@1",
            "views": [
                {
                    "name": "v", "version": 1, "dataset": "churn@3", "columns": [], "types": [],
                    "entity": "id", "key": "text",
                }
            ],
        }  # fmt: skip
        datasets.get_version(s, "churn", 3).parents = ["churn@2"]
    assert _taken(collect.look(grown)) == ["churn@4"]


def test_what_any_model_version_was_trained_on_is_kept(grown: Project) -> None:
    train.train(grown, "other", "churn@3", estimator="dummy")
    assert _taken(collect.look(grown)) == ["churn@2", "churn@4"]


def test_what_an_open_alert_speaks_of_is_kept(grown: Project) -> None:
    alerting.raise_alert(
        grown, key="data:churn", kind="data", severity="warning", model="churn",
        summary="churn@2 has drifted", details={"against": "churn@4"},
    )  # fmt: skip
    assert _taken(collect.look(grown)) == ["churn@3"]


def test_a_collected_version_stays_on_record_and_says_how_to_get_it_back(
    grown: Project, tmp_path: Path
) -> None:
    collect.collect(grown)
    assert catalog.show(grown, "churn@2").collected_at is not None
    assert ask.trace(grown, "churn@2").nodes[0].details["collected_at"] is not None
    again = "mlkit data rebuild churn@2"
    with pytest.raises(ConflictError, match=again):
        data_export.export(grown, "churn@2", tmp_path / "out.csv")
    with pytest.raises(ConflictError, match=again):
        train.train(grown, "churn", "churn@2", estimator="dummy")
    with pytest.raises(ConflictError, match=again):
        catalog.diff(grown, "churn@2", "churn@5")
    assert rebuild.rebuild(grown, "churn@2").restored
    assert data_export.export(grown, "churn@2", tmp_path / "out.csv").rows == 402
    assert not rebuild.rebuild(grown, "churn@2").restored


def test_rows_of_a_collected_version_that_come_again_are_a_new_one(grown: Project) -> None:
    collect.collect(grown)
    newest = catalog.show(grown, "churn").version
    added = ingest.add(grown, "churn", grown.root / "churn3.csv")
    assert (added.version, added.new) == (newest + 1, True)
    assert catalog.show(grown, "churn@3").collected_at is not None
    collect.collect(grown)
    assert _file(grown, newest + 1).is_file()


def test_bytes_that_another_dataset_has_too_stay(grown: Project) -> None:
    ingest.add(grown, "twin", grown.root / "churn2.csv", target="churned", time="since")
    assert "churn@2" in _taken(collect.collect(grown))
    assert ingest.add(grown, "twin", grown.root / "churn2.csv").version == 1
    with grown.read() as s:
        twin = datasets.get_version(s, "twin")
    assert ingest.load_version(grown, twin).num_rows == 402


def test_a_file_that_is_named_in_the_last_moment_stays(grown: Project) -> None:
    sha256 = grown.data.put(b"new rows")
    assert grown.data.remove(sha256, lambda: False) == 0
    assert grown.data.read(sha256) == b"new rows"

    def touched() -> bool:
        return grown.data.put(b"new rows") == sha256

    assert grown.data.remove(sha256, touched) == len(b"new rows")
    assert grown.data.read(sha256) == b"new rows"


def test_files_that_a_killed_collection_left_go_with_the_next(grown: Project) -> None:
    collect._mark(grown)
    assert _file(grown, 2).is_file()
    seen = collect.look(grown)
    assert (seen.versions, seen.files) == ((), 3)
    done = collect.collect(grown)
    assert (done.versions, done.files) == ((), 3)
    assert not _file(grown, 2).is_file()


def test_a_backup_of_a_collected_project_is_whole(grown: Project, tmp_path: Path) -> None:
    collect.collect(grown)
    made = backup.create(grown, tmp_path / "all.mlkit.tar")
    assert made.members > 0


def test_nobody_adds_while_it_works(grown: Project) -> None:
    with scratch.alone(grown, "newborn"), pytest.raises(BusyError, match="adding to a dataset"):
        collect.collect(grown)
    with version_files.deleted(grown), pytest.raises(BusyError, match="are being deleted"):
        ingest.add(grown, "churn", grown.root / "churn2.csv")


def test_a_process_that_waits_for_its_rows_loses_no_file(grown: Project, warm: Any) -> None:
    program = [warm.program(), "--project", str(grown.root), "data"]
    words = ["add", "newborn", "-", "--target", "churned", "--time", "since"]
    lock = grown.state_dir / "locks" / "data-newborn"
    with subprocess.Popen([*program, *words], stdin=subprocess.PIPE) as adding:
        assert adding.stdin is not None
        while not (lock.exists() and locks.is_held(lock)):
            assert adding.poll() is None
            time.sleep(0.05)
        time.sleep(0.1)  # the second lock follows the first
        assert subprocess.run([*program, "gc", "--yes"], check=False).returncode == 4
        adding.stdin.write((grown.root / "churn2.csv").read_bytes())
        adding.stdin.close()
        assert adding.wait() == 0
    assert "churn@2" in _taken(collect.collect(grown))
    with grown.read() as s:
        newborn = datasets.get_version(s, "newborn")
    assert ingest.load_version(grown, newborn).num_rows == 402


def test_a_backup_keeps_its_files_until_it_is_written(
    grown: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe = backup._describe

    def slowly(*args: Any) -> Any:
        with pytest.raises(BusyError, match="a backup of this project is being made"):
            collect.collect(grown)
        return describe(*args)

    monkeypatch.setattr(backup, "_describe", slowly)
    assert backup.create(grown, tmp_path / "all.mlkit.tar").members > 0
    assert _taken(collect.collect(grown)) == ["churn@2", "churn@3", "churn@4"]


def test_a_leftover_that_somebody_takes_up_again_stays(
    grown: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown.data.put(b"left")
    (left,) = [file for file in leftovers.find(grown) if file.suffix == ".parquet"]
    os.utime(left, (0, 0))
    (due,) = leftovers.due(grown)
    grown.data.put(b"left")
    monkeypatch.setattr(leftovers, "due", lambda _project: [due])
    assert collect.collect(grown).files == 0
    assert left.is_file()


def test_what_a_training_reads_is_kept_until_it_has_ended(
    grown: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlkit.flows.training import judgement

    judge = judgement.judge

    def slowly(*args: Any, **options: Any) -> Any:
        with pytest.raises(BusyError, match="joining or training"):
            collect.collect(grown)
        return judge(*args, **options)

    monkeypatch.setattr(judgement, "judge", slowly)
    train.train(grown, "churn", "churn@2", estimator="dummy")
    assert _taken(collect.collect(grown)) == ["churn@3", "churn@4"]
