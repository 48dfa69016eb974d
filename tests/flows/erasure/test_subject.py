"""A subject that is erased is gone from the versions, the log and all that comes later."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from mlkit.errors import InvalidInputError
from mlkit.flows.data import catalog, collect, data_export, ingest, leftovers, scratch
from mlkit.flows.doctor import checkup
from mlkit.flows.erasure import log, subject
from mlkit.flows.lineage import rebuild
from mlkit.flows.log import actuals, logs, retention
from mlkit.flows.operations import backup, restore
from mlkit.flows.registry import deploy
from mlkit.flows.training import retrain, train
from mlkit.project import Project, create_project
from mlkit.store import audit, datasets, features, predictions
from mlkit.store.base import new_ids
from mlkit.store.disk import failpoints
from mlkit.store.features import StoredView
from mlkit.store.log_columns import Entry, Prediction
from mlkit.store.registry import Model

PEOPLE = 30
pytestmark = pytest.mark.usefixtures("warm_loading")


def _frame(rows: int = 300, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    since = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(np.arange(rows), unit="h")
    age = rng.integers(18, 80, rows)
    return pd.DataFrame(
        {
            "since": since.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "who": rng.integers(0, PEOPLE, rows) + 1000,
            "age": age,
            "churned": np.where(rng.random(rows) < 1 / (1 + np.exp((age - 45) / 5)), "yes", "no"),
        }
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions about thirty people, a model of the second, and 240 logged answers."""
    folder = tmp_path_factory.mktemp("people") / "project"
    folder.mkdir()
    (folder / "mlkit.toml").touch()
    project = create_project(folder, environment={})
    for number in (1, 2):
        file = folder / f"people{number}.csv"
        _frame(300 * number).to_csv(file, index=False)
        ingest.add(project, "people", file, target="churned", time="since", entity="who")
    train.train(project, "churn", "people", estimator="linear", promote=True)
    for days in (40, 2):
        _answer(project, _frame(120, seed=days), timedelta(days=days))
    retention.seal(project, older_than="30d")
    project.close()
    return folder


def _answer(project: Project, frame: pd.DataFrame, age: timedelta) -> None:
    version = deploy.find_version(project, "churn")
    entries = []
    for place, row in enumerate(frame.to_dict("records")):
        at = project.now() - age + timedelta(seconds=place)
        request, identifier = new_ids(at, 2)
        entries.append(
            Entry(
                request_id=request, model_id=version.model_id, version_id=version.id, version=1,
                role="champion", served_us=int(at.timestamp() * 1e6), latency_us=1,
                ids=[identifier], entities=[str(row["who"])], features=[(int(row["age"]),)],
                values=["no"], probabilities=[[0.5, 0.5]],
            )
        )  # fmt: skip
    with project.write() as s:
        predictions.add(s, entries)
    truths = zip(entries, frame["churned"], strict=True)
    actuals.add(project, [actuals.ActualItem(e.ids[0], truth) for e, truth in truths])


@pytest.fixture
def people(root: Path, tmp_path: Path, copied: Any) -> Iterator[Project]:
    with copied(root, tmp_path / "people") as project:
        yield project


def _who(project: Project, number: int) -> set[int]:
    with project.read() as s:
        version = datasets.get_version(s, "people", number)
    return {int(who) for who in ingest.load_version(project, version)["who"].to_pylist()}


def _traces(project: Project, entity: str) -> list[str]:
    """Return where the entity is still to be found: versions, log, audit trail, settings."""
    import pyarrow.parquet as pq

    found = []
    for file in [*project.root.glob("data/**/*.parquet"), *project.root.glob("log/**/*.parquet")]:
        table = pq.read_table(file)
        names = {"who", "_entity"} & set(table.column_names)
        found += [str(file) for n in names if entity in map(str, table[n].to_pylist())]
    with project.read() as s:
        rows = s.query(Prediction).filter_by(entity=entity).all()
        found += [row.id for row in rows]
        found += [e.subject for e in s.query(audit.AuditEvent) if entity in str(e.details)]
    return found


def test_the_rows_of_a_subject_are_gone_from_every_version_and_from_the_log(
    people: Project,
) -> None:
    assert _traces(people, "1007")
    before = catalog.show(people, "people@2")
    rows = logs.read(people, "churn").num_rows
    done = subject.erase(people, "people", ["1007"], reason="asked by letter")
    assert [one.reference for one in done.versions] == ["people@1", "people@2"]
    assert done.models == ("churn v1",)
    assert _traces(people, "1007") == []
    after = catalog.show(people, "people@2")
    assert after.erased_rows == done.versions[1].rows == before.rows - after.rows
    assert after.sha256 == done.versions[1].sha256 != before.sha256
    assert not people.data.path(before.sha256).exists()
    assert logs.read(people, "churn").num_rows == rows - done.predictions
    assert done.predictions > 0
    assert 1008 in _who(people, 1)
    assert leftovers.find(people) == []
    checks = checkup.examine(people.root).checks
    assert {c.level for c in checks if c.check in ("data", "audit trail", "erasures")} == {"ok"}


def test_nobody_can_read_from_the_trail_who_it_was(people: Project) -> None:
    subject.erase(people, "people", ["1007"], reason="a letter")
    with people.read() as s:
        events = s.query(audit.AuditEvent).filter_by(action="data erase").all()
        assert events[0].details["reason"] == "a letter"
        assert len(events[0].details["subjects"][0]) == 64
        assert [e.subject for e in events][1:3] == ["people@1", "people@2"]
        assert audit.first_break(s) is None


def test_a_later_file_brings_a_subject_back_in_no_form(people: Project) -> None:
    subject.erase(people, "people", ["1007", "1008"])
    file = people.root / "people3.csv"
    frame = _frame(400, seed=3)
    frame.to_csv(file, index=False)
    added = ingest.add(people, "people", file)
    lost = int(frame["who"].isin([1007, 1008]).sum())
    assert f"erased: {lost} rows of erased subjects are left out" in added.warnings
    assert added.rows == 400 - lost
    assert _who(people, 3).isdisjoint({1007, 1008})
    shown = catalog.show(people, "people@3")
    assert next(c for c in shown.columns if c["name"] == "who")["missing"] == 0
    assert ingest.add(people, "people", file).new is False
    ingest.add(people, "people", people.root / "people1.csv")
    assert _who(people, 4) == _who(people, 1)


def test_a_retraining_leaves_a_subject_out_that_has_come_back_to_the_log(people: Project) -> None:
    subject.erase(people, "people", ["1007"])
    _answer(people, _frame(60, seed=9).assign(who=1007), timedelta(hours=5))
    _answer(people, _frame(60, seed=9), timedelta(hours=3))
    done = retrain.retrain(people, "churn")
    assert done.version == 2
    assert 1007 not in _who(people, 3)
    assert rebuild.rebuild(people, "people@3").same


def test_what_was_learned_from_the_log_is_made_again_without_the_subject(people: Project) -> None:
    retrain.retrain(people, "churn")
    rows = catalog.show(people, "people@3").rows
    subject.erase(people, "people", ["1007"])
    assert catalog.show(people, "people@3").rows < rows
    assert rebuild.rebuild(people, "people@3").same


def test_a_rebuild_from_the_file_compares_with_the_rows_that_are_left(people: Project) -> None:
    with people.write() as s:
        for number in (1, 2):
            version = datasets.get_version(s, "people", number)
            version.source = str(people.root / f"people{number}.csv")
    subject.erase(people, "people", ["1007"])
    assert rebuild.rebuild(people, "people@1").same


def test_a_version_that_was_collected_before_comes_back_without_the_subject(
    people: Project,
) -> None:
    assert [one.reference for one in collect.collect(people).versions] == ["people@1"]
    subject.erase(people, "people", ["1007"])
    done = rebuild.rebuild(people, "people@1")
    assert done.restored
    assert 1007 not in _who(people, 1)
    assert catalog.show(people, "people@1").erased_rows > 0
    assert catalog.show(people, "people@1").sha256 == done.sha256
    assert rebuild.rebuild(people, "people@1").same


def test_two_versions_that_differed_by_the_subject_alone_stay_two_of_one_file(
    people: Project,
) -> None:
    frame = _frame(100, seed=5)
    for number, rows in ((3, frame), (4, frame[frame["who"] != 1007])):
        rows.to_csv(people.root / f"people{number}.csv", index=False)
        ingest.add(people, "people", people.root / f"people{number}.csv")
    subject.erase(people, "people", ["1007"])
    third, fourth = (catalog.show(people, f"people@{number}") for number in (3, 4))
    assert third.rows == fourth.rows
    assert third.sha256 == fourth.sha256
    assert rebuild.rebuild(people, "people@3").same


def test_a_version_about_nobody_else_becomes_empty(people: Project, tmp_path: Path) -> None:
    _frame(80, seed=5).assign(who=1007).to_csv(people.root / "one.csv", index=False)
    ingest.add(people, "people", people.root / "one.csv")
    subject.erase(people, "people", ["1007"])
    assert catalog.show(people, "people@3").rows == 0
    assert data_export.export(people, "people@3", tmp_path / "none.csv").rows == 0


def test_an_erasure_that_was_cut_off_is_finished_without_naming_anybody(
    people: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "_rewrite_versions", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        subject.erase(people, "people", ["1007"])
    monkeypatch.undo()
    found = [c for c in checkup.examine(people.root).checks if c.check == "erasures"]
    assert [(c.level, c.fix) for c in found] == [("warn", "mlkit data erase people --yes")]
    subject.erase(people, "people", [])
    assert _traces(people, "1007") == []
    with pytest.raises(InvalidInputError, match="no erasure of dataset 'people' was cut off"):
        subject.erase(people, "people", [])


def test_rows_that_are_sealed_while_they_are_looked_for_go_too(
    people: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = log._delete_recent

    def late(project: Project, ids: Any) -> None:
        retention.seal(project, older_than="1h")
        delete(project, ids)

    monkeypatch.setattr(log, "_delete_recent", late)
    subject.erase(people, "people", ["1007"])
    assert _traces(people, "1007") == []


def test_what_was_erased_since_a_backup_is_to_be_erased_from_the_restored_project(
    people: Project, tmp_path: Path, cli: Any
) -> None:
    file = backup.create(people, tmp_path / "b.mlkit.tar").file
    subject.erase(people, "people", ["1007"])
    people.close()
    words = ("backup", "restore", str(file), "--to", str(people.root), "--replace")
    told = cli(*words).stdout
    assert "rows erased since are back" in told
    assert "mlkit data erase people --yes" in told
    assert _traces(people, "1007")
    subject.erase(people, "people", [])
    assert _traces(people, "1007") == []
    with people.read() as s:
        assert audit.first_break(s) is None


def test_what_was_erased_is_known_where_a_colleagues_restore_died_between_its_renames(
    people: Project, tmp_path: Path
) -> None:
    file = backup.create(people, tmp_path / "b.mlkit.tar").file
    subject.erase(people, "people", ["1007"])
    people.close()
    root = people.root
    root.rename(root.with_name(f"{root.name}.before-restore-1"))
    root.with_name(f".{root.name}.restoring-12345").mkdir()
    assert restore.restore(file, root).to_erase == ("people",)


def test_a_restore_over_a_damaged_project_says_that_erasures_are_lost(
    people: Project, tmp_path: Path
) -> None:
    file = backup.create(people, tmp_path / "b.mlkit.tar").file
    people.close()
    (people.root / "ml.sqlite").write_bytes(b"no database" * 1000)
    assert restore.restore(file, people.root, replace=True).to_erase is None
    assert 1007 in _who(people, 1)


def test_another_project_has_other_hashes(people: Project, tmp_path: Path) -> None:
    from mlkit.flows.data import subjects

    assert subjects.hashed(b"a" * 32, "people", 7.0) == subjects.hashed(b"a" * 32, "people", "7")
    assert subjects.hashed(b"a" * 32, "people", 7) != subjects.hashed(b"b" * 32, "people", 7)
    assert subjects.hashed(b"a" * 32, "people", 7) != subjects.hashed(b"a" * 32, "others", 7)


def test_a_dataset_about_nobody_has_nobody_to_erase(trained: Project) -> None:
    with pytest.raises(InvalidInputError, match="--entity COLUMN"):
        subject.erase(trained, "churn", ["1007"])


def test_a_script_has_to_say_that_it_means_it(people: Project, cli: Any) -> None:
    cli = cli.of(people.root)
    assert "say --yes" in cli("data", "erase", "people", "1007", code=2).stderr
    done = cli.json("data", "erase", "people", "1007", "--yes")
    assert (done["dataset"], done["subjects"]) == ("people", 1)
    assert "rows of erased subjects are gone for good" in cli("data", "show", "people").stdout


def test_a_journal_that_brings_rows_back_for_ever_leaves_the_erasure_unfinished(
    people: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlkit.errors import BusyError

    people.journal_dir.mkdir(exist_ok=True)
    (people.journal_dir / "1.journal").touch()
    monkeypatch.setattr(log, "_erase_once", lambda *_: {"again"})
    monkeypatch.setattr(log, "_TURNS", 1)
    with pytest.raises(BusyError, match="finish with: mlkit data erase people --yes"):
        subject.erase(people, "people", ["1007"])
    found = [c.level for c in checkup.examine(people.root).checks if c.check == "erasures"]
    assert found == ["warn"]


def test_a_sealed_file_that_no_row_names_keeps_nobody(people: Project) -> None:
    with people.database.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM segment"))
    levels = {each.check: each.level for each in checkup.examine(people.root).checks}
    assert levels["audit trail"] == "fail"
    assert any("log" in place for place in _traces(people, "1007"))
    subject.erase(people, "people", ["1007"])
    assert _traces(people, "1007") == []


def test_a_file_that_an_erasure_took_for_unnamed_is_sealed_anew(
    people: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = logs.read(people, "churn").num_rows
    with people.read() as s:
        (model_id,) = s.scalars(sa.select(Model.id))
    reached: list[str] = []

    def erase_meanwhile(point: str) -> None:
        if point == "seal.file" and not reached:
            reached.append(point)
            log._delete_unnamed(people, model_id)

    monkeypatch.setattr(failpoints, "reach", erase_meanwhile)
    retention.seal(people, older_than="1h")
    assert reached
    assert logs.read(people, "churn").num_rows == rows


def test_an_id_that_nothing_is_known_of_is_named(people: Project) -> None:
    done = subject.erase(people, "people", ["1007", "1OO8", "1009"])
    assert done.unknown == ("1OO8",)


def test_what_killed_commands_left_goes_with_an_erasure(people: Project) -> None:
    """Of an add, a training, a backup and a materialising; what is at work elsewhere stays."""
    left = [
        people.data.path("0" * 64),
        people.data.root / ".1-x.part",
        scratch.of_dataset(people, "people") / "version.parquet",
        people.artifacts.path("0" * 64),
        people.references.path("0" * 64),
        people.backups_dir / ".x.mlkit.tar.sqlite.part",
    ]
    alive = scratch.root(people) / "~check-x" / "rows"
    for file in (*left, alive):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"rows")
    now = people.now()
    with people.write() as s:
        view = StoredView(
            name="v", version=1, entity="who", key="text", columns=[], types=[], ttl=None,
            digest="", changed_at=now, materialized_at=now, changes=0, rows=0,
        )  # fmt: skip
        s.add(view)
        s.flush()
        set_id = features.begin_set(s, view, now)
        features.put(s, set_id, features.FeatureValues(["1007"], [0], ["[]"]))
    subject.erase(people, "people", ["1007"])
    assert [file for file in left if file.exists()] == []
    assert alive.exists()
    with people.read() as s:
        assert s.scalars(sa.select(features.FeatureValue.entity)).all() == []
        assert features.leftovers(s) == []
