"""What an erasure reaches in versions that were joined: rows, and what views say of a subject."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlkit.errors import BusyError, InvalidInputError
from mlkit.flows.data import ingest, leftovers
from mlkit.flows.erasure import subject
from mlkit.flows.features import joining, materialize, view_rows
from mlkit.flows.features.joining import Recipe
from mlkit.flows.lineage import rebuild
from mlkit.project import Project
from mlkit.provenance import Log
from mlkit.store import datasets, erasures, features
from mlkit.store.disk import failpoints

FEATURES = """
from mlkit.features import feature_view, on_demand

@feature_view(source="visits", entity="who", time="at")
def last_visit(visits):
    return visits[["who", "at", "pages"]]

@feature_view(source="visits", entity="who", time="at", on_missing={"trips": -1})
def journeys(visits):
    return visits[["who", "at", "pages"]].rename(columns={"pages": "trips"})

@on_demand(inputs=["pages"])
def derived(rows):
    return rows[["pages"]].rename(columns={"pages": "double"}) * 2
"""
FIRST = Recipe("people", ("last_visit",), ("derived",))
SECOND = Recipe("seen", ("journeys",))


@pytest.fixture
def people(project: Project) -> Project:
    """Twenty people, their visits, both joined, and the join joined once more."""
    _add(project, "people", entity="who")
    _add(project, "visits", entity="who")
    (project.root / "features.py").write_text(FEATURES)
    joining.join(project, "seen", FIRST)
    joining.join(project, "twice", SECOND)
    return project


def _add(project: Project, name: str, entity: str | None = None) -> None:
    days = pd.date_range("2026-01-01", periods=60, freq="D", tz="UTC")
    who = [f"c{n % 20}" for n in range(60)]
    bought = pd.DataFrame({"who": who, "since": days, "age": range(60), "left": ["y", "n"] * 30})
    visits = pd.DataFrame({"who": who, "at": days - pd.Timedelta("1h"), "pages": range(60)})
    frame, time = (bought, "since") if name == "people" else (visits, "at")
    target = "left" if name == "people" else None
    file = project.root / f"{name}.csv"
    frame.to_csv(file, index=False)
    ingest.add(project, name, file, target=target, time=time, entity=entity)


def _rows(project: Project, name: str) -> pd.DataFrame:
    with project.read() as s:
        version = datasets.get_version(s, name)
    return ingest.load_version(project, version).to_pandas()


def _is_sound(project: Project) -> bool:
    with project.read() as s:
        return all(project.data.path(v.sha256).is_file() for v in datasets.outline(s))


def test_rows_go_from_what_was_joined_to_a_join_too(people: Project) -> None:
    done = subject.erase(people, "people", ["c7"])
    assert {one.reference for one in done.versions} == {"people@1", "seen@1", "twice@1"}
    for name in ("people", "seen", "twice"):
        assert "c7" not in set(_rows(people, name)["who"])
    assert _is_sound(people)


def test_an_erasure_that_was_cut_off_between_datasets_knows_the_others(
    people: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewrite = subject._rewrite_versions

    def once(project: Project, dataset: Any, erased: Any) -> Any:
        monkeypatch.setattr(subject, "_rewrite_versions", lambda *_: 1 / 0)
        return rewrite(project, dataset, erased)

    monkeypatch.setattr(subject, "_rewrite_versions", once)
    with pytest.raises(ZeroDivisionError):
        subject.erase(people, "people", ["c7"])
    monkeypatch.undo()
    subject.erase(people, "people", [])
    for name in ("people", "seen", "twice"):
        assert "c7" not in set(_rows(people, name)["who"])
    with pytest.raises(InvalidInputError, match="no erasure of dataset 'people' was cut off"):
        subject.erase(people, "people", [])


@pytest.mark.parametrize("moment", ["erase.asked", "erase.recorded", "erase.deleted"])
def test_a_killed_erasure_is_finished_for_every_dataset(
    people: Project, moment: str, warm: Any
) -> None:
    erase = [warm.program(), "--project", str(people.root), "data", "erase"]
    killed = subprocess.run(
        [*erase, "people", "c7", "--yes"],
        env={**os.environ, failpoints.VARIABLE: moment}, check=False, capture_output=True,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    assert subprocess.run([*erase, "people", "--yes"], check=False).returncode == 0
    for name in ("people", "seen", "twice"):
        assert "c7" not in set(_rows(people, name)["who"])
    assert leftovers.find(people) == []
    with people.read() as s:
        assert erasures.unfinished(s) == []


def test_what_views_say_of_a_subject_goes_from_all_that_has_it(people: Project) -> None:
    before = _rows(people, "twice")
    done = subject.erase(people, "visits", ["c7"])
    assert {(one.reference, one.rows, one.cleared) for one in done.versions} == {
        ("visits@1", 3, 0), ("seen@1", 0, 3), ("twice@1", 0, 3),
    }  # fmt: skip
    after = _rows(people, "twice")
    theirs = after["who"] == "c7"
    assert after.loc[theirs, ["pages", "double"]].isna().all(axis=None)
    assert (after.loc[theirs, "trips"] == -1).all()
    pd.testing.assert_frame_equal(after[~theirs], before[~theirs], check_dtype=False)
    assert after[["who", "since", "age", "left"]].equals(before[["who", "since", "age", "left"]])
    assert _is_sound(people)
    assert subject.erase(people, "visits", ["c7"]).versions == ()


def test_a_version_without_the_values_is_what_joining_gives_now(people: Project) -> None:
    subject.erase(people, "visits", ["c7"])
    assert rebuild.rebuild(people, "twice@1").same


def test_a_join_has_the_entity_that_its_base_was_told_of_later(project: Project) -> None:
    _add(project, "people")
    _add(project, "visits", entity="who")
    (project.root / "features.py").write_text(FEATURES)
    joining.join(project, "seen", FIRST)
    with pytest.raises(InvalidInputError, match="it is joined to 'people'"):
        subject.erase(project, "seen", ["c7"])
    _add(project, "people", entity="who")
    assert not joining.join(project, "seen", FIRST).new
    with project.read() as s:
        assert datasets.get(s, "seen").entity_column == "who"
    subject.erase(project, "people", ["c7"])
    assert "c7" not in set(_rows(project, "seen")["who"])


def test_an_erasure_tells_a_join_of_the_entity_itself(project: Project) -> None:
    _add(project, "people")
    _add(project, "visits", entity="who")
    (project.root / "features.py").write_text(FEATURES)
    joining.join(project, "seen", FIRST)
    _add(project, "people", entity="who")
    subject.erase(project, "people", ["c7"])
    assert "c7" not in set(_rows(project, "seen")["who"])


def test_nothing_is_erased_while_values_of_the_subject_are_on_their_way(
    people: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = view_rows.compute

    def slowly(*args: Any) -> Any:
        with pytest.raises(BusyError):
            subject.erase(people, "visits", ["c7"])
        return compute(*args)

    monkeypatch.setattr(view_rows, "compute", slowly)
    materialize.materialize(people)
    monkeypatch.undo()
    subject.erase(people, "visits", ["c7"])
    with people.read() as s:
        for view in features.list_views(s):
            assert view.changes == 2
            assert "c7" not in features.entities(s, view.set_id or 0)


def test_bytes_that_another_dataset_names_stay(people: Project, tmp_path: Path) -> None:
    twin = tmp_path / "twin.csv"
    twin.write_bytes((people.root / "visits.csv").read_bytes())
    with people.read() as s:
        sha256 = datasets.get_version(s, "visits").sha256
    remove = type(people.data).remove
    added = []

    def late(store: Any, digest: str, unused: Any) -> int:
        if not added:
            with people.write() as s:  # as if somebody had named the bytes since
                found = datasets.get_version(s, "people")
                added.append(found.sha256)
                found.provenance = Log(model="m", start="2026", end="2027", picked=sha256)
        return remove(store, digest, unused)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(people.data), "remove", late)
        subject.erase(people, "visits", ["c7"])
    assert people.data.path(sha256).is_file()
