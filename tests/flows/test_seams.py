"""Where sources, rules, versions and features meet: each of them knows what the others did."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from mlkit.errors import CheckFailedError
from mlkit.flows import pull
from mlkit.flows.data import collect, ingest, quarantine
from mlkit.flows.data.query_source import QuerySource
from mlkit.flows.erasure import subject
from mlkit.flows.features import joining, materialize
from mlkit.flows.features.joining import Recipe
from mlkit.flows.lineage import rebuild
from mlkit.project import Project, open_project
from mlkit.store import datasets, features

FEATURES = """
from mlkit.features import feature_view

@feature_view(source="visits", entity="who", time="at")
def last_visit(visits):
    return visits[["who", "at", "pages"]]
"""
JOINED = '[datasets.seen]\nbase = "people"\nviews = ["last_visit"]\n'


@pytest.fixture
def people(project: Project) -> Project:
    """Twenty people, their visits, and both joined: versions that tell how they were made."""
    days = pd.date_range("2026-01-01", periods=60, freq="D", tz="UTC")
    who = [f"c{n % 20}" for n in range(60)]
    bought = pd.DataFrame({"who": who, "since": days, "age": range(60), "left": ["y", "n"] * 30})
    visits = pd.DataFrame({"who": who, "at": days - pd.Timedelta("1h"), "pages": range(60)})
    bought.to_csv(project.root / "people.csv", index=False)
    visits.to_csv(project.root / "visits.csv", index=False)
    ingest.add(
        project, "people", project.root / "people.csv", target="left", time="since", entity="who"
    )
    ingest.add(project, "visits", project.root / "visits.csv", time="at", entity="who")
    (project.root / "features.py").write_text(FEATURES)
    (project.root / "mlkit.toml").write_text(JOINED)
    project.close()
    return open_project(project.root, environment={})


def _whos(project: Project, name: str) -> set[str]:
    with project.read() as s:
        version = datasets.get_version(s, name)
    return set(ingest.load_version(project, version).column("who").to_pylist())


def test_a_joined_dataset_is_pulled_and_made_again_like_any_other(people: Project) -> None:
    assert pull.pull(people, "seen").version == 1
    assert not pull.pull(people, "seen").new
    assert rebuild.rebuild(people, "seen@1").same
    (people.root / "features.py").write_text(f"{FEATURES}\n# another text\n")
    with pytest.raises(CheckFailedError, match=r"features\.py has changed since"):
        rebuild.rebuild(people, "seen@1")


def test_the_same_rows_of_a_view_that_is_served_otherwise_are_another_version(
    people: Project,
) -> None:
    pull.pull(people, "seen")
    (people.root / "features.py").write_text(
        FEATURES.replace('"at")', '"at", on_missing="refuse")')
    )
    second = pull.pull(people, "seen")
    assert (second.version, second.new) == (2, True)
    assert not pull.pull(people, "seen").new
    (people.root / "features.py").write_text(
        FEATURES.replace('"at")', '"at", on_missing="refuse", owner="ops")')
    )
    third = pull.pull(people, "seen")
    assert (third.version, third.new) == (2, False)
    assert _whos(people, "seen") == _whos(people, "people")


def test_a_source_that_goes_back_to_older_rows_is_a_new_version(people: Project) -> None:
    file = people.root / "visits.csv"
    old = file.read_bytes()
    pd.read_csv(file).assign(pages=1).to_csv(file, index=False)
    assert ingest.add(people, "visits", file).version == 2
    file.write_bytes(old)
    back = ingest.add(people, "visits", file)
    assert (back.version, back.new) == (3, True)
    assert not ingest.add(people, "visits", file).new
    with people.read() as s:
        first, second, third = datasets.get(s, "visits").versions
        assert first.sha256 == third.sha256 != second.sha256
    assert [one.reference for one in collect.collect(people).versions] == ["visits@2"]
    assert "c7" in _whos(people, "visits")


@pytest.fixture
def told_apart(people: Project) -> Project:
    """Three joins, of which the second has the rows of the first, but other views behind them."""
    pull.pull(people, "seen")
    (people.root / "features.py").write_text(
        FEATURES.replace('"at")', '"at", on_missing="refuse")')
    )
    pull.pull(people, "seen")
    bought = pd.read_csv(people.root / "people.csv")
    bought.iloc[:-1].to_csv(people.root / "fewer.csv", index=False)
    ingest.add(people, "people", people.root / "fewer.csv")
    assert pull.pull(people, "seen").version == 3
    return people


def test_a_join_of_an_older_base_is_a_version_that_can_be_made_again(told_apart: Project) -> None:
    again = joining.join(told_apart, "seen", Recipe("people@1", ("last_visit",)))
    assert (again.version, again.new) == (4, True)
    assert rebuild.rebuild(told_apart, "seen@2").same
    assert rebuild.rebuild(told_apart, "seen@4").same


def test_a_version_that_was_told_apart_is_proved_after_an_erasure(told_apart: Project) -> None:
    assert "seen@2" in [one.reference for one in collect.collect(told_apart).versions]
    rebuild.rebuild(told_apart, "people@1")
    subject.erase(told_apart, "seen", ["c7"])
    done = rebuild.rebuild(told_apart, "seen@2")
    assert (done.restored, done.rows) == (True, 57)


def test_a_query_is_asked_again_and_compared(people: Project) -> None:
    file = people.root / "crm.db"
    with closing(sqlite3.connect(file)) as crm, crm:
        crm.execute("CREATE TABLE plan (id INTEGER, name TEXT)")
        crm.executemany("INSERT INTO plan VALUES (?, 'free')", [(n,) for n in range(60)])
    query = QuerySource("sqlite:///crm.db", "SELECT * FROM plan ORDER BY id", people.root)
    ingest.add(people, "plan", query)
    assert rebuild.rebuild(people, "plan@1").same
    with closing(sqlite3.connect(file)) as crm, crm:
        crm.execute("DELETE FROM plan WHERE id = 7")
    with pytest.raises(CheckFailedError, match="it has 59 rows, 60 were recorded"):
        rebuild.rebuild(people, "plan@1")


@pytest.fixture
def odd(people: Project, tmp_path: Path, churn: Callable[..., pd.DataFrame]) -> Project:
    """A version some of whose rows broke a rule and were set aside."""
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    churn(rows=200).to_csv(first, index=False)
    frame = churn(rows=200, seed=1)
    frame.loc[3, "age"] = 900
    frame.to_csv(second, index=False)
    ingest.add(people, "churn", first, target="churned", entity="plan")
    rules = people.root / "schemas" / "churn.yaml"
    rules.write_text(rules.read_text() + "quarantine: 0.1\n")
    assert ingest.add(people, "churn", second).rows == 199
    return people


def test_rows_that_were_set_aside_stay_out_when_a_version_is_made_again(odd: Project) -> None:
    assert rebuild.rebuild(odd, "churn@2").same


def test_an_erasure_deletes_the_rows_that_were_set_aside(odd: Project) -> None:
    assert len(quarantine.listed(odd, "churn")) == 1
    subject.erase(odd, "churn", ["pro"])
    assert quarantine.listed(odd, "churn") == []


def test_an_erasure_reaches_what_was_joined_and_what_is_looked_up(people: Project) -> None:
    pull.pull(people, "seen")
    materialize.materialize(people)
    done = subject.erase(people, "people", ["c7"])
    assert {one.reference for one in done.versions} == {"people@1", "seen@1"}
    assert "c7" not in _whos(people, "people") | _whos(people, "seen")
    subject.erase(people, "visits", ["c8"])
    with people.read() as s:
        (view,) = features.list_views(s)
        known = features.entities(s, view.set_id or 0)
    assert len(known) == view.rows == 19
    assert "c8" not in known


def test_what_is_looked_up_keeps_the_version_that_it_came_from(people: Project) -> None:
    materialize.materialize(people)
    visits = pd.read_csv(people.root / "visits.csv")
    visits.assign(pages=1).to_csv(people.root / "visits.csv", index=False)
    ingest.add(people, "visits", people.root / "visits.csv")
    assert collect.look(people).versions == ()
    materialize.materialize(people)
    assert [one.reference for one in collect.look(people).versions] == ["visits@1"]
