"""Materialise and look up: the newest values until now, whole, and what stands for none."""

import itertools
import sqlite3
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlkit.errors import BusyError, ConflictError, InvalidInputError
from mlkit.flows.data import ingest
from mlkit.flows.features import declarations, joining, materialize, unused_values, view_rows
from mlkit.flows.features.joining import Recipe
from mlkit.flows.features.materialize import Materialized
from mlkit.flows.features.online import Found, Online
from mlkit.project import Project
from mlkit.provenance import ViewUse
from mlkit.steps.features import point_in_time
from mlkit.store import features as store
from mlkit.store.feature_reader import FeatureReader

VIEW = """
from mlkit.features import feature_view

@feature_view(source="seen", entity="who", time="at"{options})
def v(seen):
    return seen[["who", "at", "x", "when"]]
"""
START = datetime.fromisoformat("2026-01-05T12:00:00+00:00")
HOUR = timedelta(hours=1)
VERSIONS = itertools.count(1)


class Shop:
    """A project with one view over events that are added by hand, and a clock that is set."""

    def __init__(self, clocked: Any) -> None:
        self.clocked = clocked
        self.project: Project = clocked.project
        self.declare()

    def declare(self, options: str = ', ttl="3h"', version: int = 1, text: str = VIEW) -> None:
        body = text.format(options=f"{options}, version={version}")
        (self.project.root / "features.py").write_text(body)

    def see(self, *events: tuple[Any, float, Any]) -> None:
        """Add a version of the dataset: who, hours after noon, value."""
        frame = pd.DataFrame(events, columns=["who", "hours", "x"]).astype({"x": "float64"})
        frame["at"] = [pd.Timestamp(START + hours * HOUR) for hours in frame.pop("hours")]
        frame["when"] = frame["at"]
        frame.to_parquet(self.project.root / "seen.parquet")
        ingest.add(self.project, "seen", self.project.root / "seen.parquet", time="at")

    def materialize(self) -> Materialized:
        (done,) = materialize.materialize(self.project)
        return done

    def use(self) -> ViewUse:
        declared = declarations.load(self.project)
        return view_rows.compute(self.project, declared, declared.view("v")).use


@pytest.fixture
def shop(clocked: Any) -> Shop:
    return Shop(clocked)


@pytest.fixture
def online(shop: Shop) -> Any:
    made = Online(shop.project, check_s=0)
    yield made
    made.close()


def test_the_newest_event_until_now_is_found(shop: Shop, online: Online) -> None:
    shop.see(("a", -2, 1), ("a", -1, 2), ("a", 1, 3), ("b", -1.5, None))
    done = shop.materialize()
    assert (done.rows, done.written, done.full, done.dataset) == (2, 2, True, "seen@1")
    a, b, c, nobody = online.lookup(shop.use(), ["a", "b", "c", None], shop.project.now())
    assert a == Found((2.0, "2026-01-05T11:00:00Z"), a.event_us, "fresh")
    assert a.event_at == START - HOUR
    assert b.features == (None, "2026-01-05T10:30:00Z")
    assert c == nobody == Found((None, None), None, "absent")


def test_an_event_of_the_future_counts_when_its_time_has_come(shop: Shop, online: Online) -> None:
    shop.see(("a", -1, 1), ("a", 1, 2))
    shop.materialize()
    use = shop.use()
    assert online.lookup(use, ["a"])[0].features[0] == 1.0  # type: ignore[index]  # fresh
    shop.clocked.wait(hours=1)
    assert shop.materialize().written == 1
    assert online.lookup(use, ["a"])[0].features[0] == 2.0  # type: ignore[index]  # fresh
    assert shop.materialize().written == 0


@pytest.mark.parametrize(
    ("options", "values"),
    [("", (None, None)), ('"null"', (None, None)), ('"refuse"', None), ('{"x": 7}', (7.0, None))],
)
def test_the_policy_stands_for_what_is_stale_or_absent(
    shop: Shop, online: Online, options: str, values: Any
) -> None:
    shop.declare(', ttl="3h"' + (f", on_missing={options}" if options else ""))
    shop.see(("a", -1, 1))
    shop.materialize()
    use = shop.use()
    for moment, state in ((START + 2 * HOUR - HOUR / 60, "fresh"), (START + 2 * HOUR, "stale")):
        found, absent = online.lookup(use, ["a", "b"], moment)
        assert found.state == state
        assert absent == Found(values, None, "absent")
    assert found == Found(values, found.event_us, "stale")


def test_only_what_is_newer_or_changed_is_written(shop: Shop, online: Online) -> None:
    shop.see(("a", -2, 1), ("b", -2, 1), ("c", -2, 1))
    shop.materialize()
    shop.see(("a", -2, 1), ("b", -2, 5), ("c", -1.5, 9), ("d", -1, 1))
    done = shop.materialize()
    assert (done.written, done.rows, done.full) == (3, 4, False)
    found = online.lookup(shop.use(), ["a", "b", "c", "d"])
    assert [one.features[0] for one in found if one.features] == [1.0, 5.0, 9.0, 1.0]
    assert shop.materialize().written == 0


@pytest.mark.parametrize("in_place", [0, 1000])
def test_an_event_that_the_source_takes_back_is_served_no_more(
    shop: Shop, online: Online, monkeypatch: pytest.MonkeyPatch, in_place: int
) -> None:
    monkeypatch.setattr(materialize, "_IN_PLACE", in_place)
    shop.see(("a", -2, 1), ("a", -1, 2), ("b", -2, 1))
    shop.materialize()
    shop.see(("a", -2, 1), ("b", -2, 1))
    done = shop.materialize()
    assert (done.written, done.newest_event_at) == (1, START - 2 * HOUR)
    (found,) = online.lookup(shop.use(), ["a"])
    assert (found.features, found.event_at) == (
        (1.0, "2026-01-05T10:00:00Z"), START - 2 * HOUR,
    )  # fmt: skip


def test_an_old_answer_of_a_database_does_not_replace_a_newer_one(shop: Shop) -> None:
    file = shop.project.root / "seen.sqlite"
    text = (
        "from mlkit.features import sql_view\n"
        "v = sql_view('v', source='sqlite:///seen.sqlite', entity='who', time='at', "
        "query='SELECT who, at, x FROM seen')\n"
    )
    shop.project.root.joinpath("features.py").write_text(text)
    for moment in ("2026-01-05T11:00:00", "2026-01-05T10:00:00"):
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("CREATE TABLE IF NOT EXISTS seen (who, at, x)")
            connection.execute("DELETE FROM seen")
            connection.execute("INSERT INTO seen VALUES ('a', ?, 1.0)", [moment])
        done = shop.materialize()
    assert (done.written, done.newest_event_at) == (0, START - HOUR)


def test_what_nobody_can_use_any_more_is_taken_out(shop: Shop, online: Online) -> None:
    shop.see(("a", -2, 1), ("b", 0, 1))
    assert shop.materialize().rows == 2
    shop.clocked.wait(hours=4)
    done = shop.materialize()
    assert (done.rows, done.pruned, done.written) == (1, 1, 0)
    assert [one.state for one in online.lookup(shop.use(), ["a", "b"])] == ["absent", "stale"]


@pytest.mark.parametrize("in_place", [0, 1000])
def test_whom_the_source_does_not_have_any_more_is_not_found_any_more(
    shop: Shop, online: Online, monkeypatch: pytest.MonkeyPatch, in_place: int
) -> None:
    monkeypatch.setattr(materialize, "_IN_PLACE", in_place)
    shop.see(("a", -2, 1), ("b", -2, 1), ("c", -9, 1))
    shop.materialize()
    shop.see(("a", -2, 1), ("d", -9, 1))
    done = shop.materialize()
    assert (done.rows, done.pruned, done.written) == (1, 1, 0)
    assert [one.state for one in online.lookup(shop.use(), ["a", "b"])] == ["fresh", "absent"]


def test_other_code_or_another_version_writes_everything_anew(shop: Shop) -> None:
    shop.see(("a", -1, 1), ("b", -1, 1))
    shop.materialize()
    shop.declare(text=VIEW + "\n# other code\n")
    assert (shop.materialize().full, shop.materialize().full) == (True, False)
    shop.declare(version=2)
    assert (shop.materialize().version, shop.materialize().written) == (2, 0)
    with shop.project.read() as s:
        assert [v.reference for v in store.list_views(s)] == ["v v2"]
        assert store.leftovers(s) == []


def test_a_version_that_a_dataset_was_made_of_stays(shop: Shop) -> None:
    shop.see(("a", -1, 1))
    pd.DataFrame({"who": ["a"], "time": [pd.Timestamp(START)]}).to_parquet(
        shop.project.root / "base.parquet"
    )
    ingest.add(shop.project, "base", shop.project.root / "base.parquet", time="time")
    joining.join(shop.project, "joined", Recipe("base", ("v",)))
    shop.materialize()
    shop.declare(version=2)
    shop.materialize()
    with shop.project.read() as s:
        assert [v.reference for v in store.list_views(s)] == ["v v1", "v v2"]


def test_columns_that_change_need_another_version(shop: Shop, online: Online) -> None:
    shop.see(("a", -1, 1))
    shop.materialize()
    use = shop.use()
    shop.declare(text=VIEW.replace('"x", "when"', '"x"'))
    with pytest.raises(ConflictError, match=r"'when' is gone.*set version=2"):
        shop.materialize()
    shop.declare(text=VIEW.replace("seen[[", "seen.assign(x='one', y=1)[["))
    with pytest.raises(ConflictError, match="'x' was number and is text"):
        shop.materialize()
    more = VIEW.replace("seen[[", "seen.assign(y=5)[[").replace('"x", ', '"y", "x", ')
    shop.declare(text=more)
    shop.materialize()
    assert online.lookup(use, ["a"])[0].features == (1.0, "2026-01-05T11:00:00Z")


def test_a_new_column_moves_no_other_one_for_a_reader_that_does_not_know_it_yet(
    shop: Shop,
) -> None:
    shop.see(("a", -1, 1))
    shop.materialize()
    use = shop.use()
    online = Online(shop.project, cache_rows=0, check_s=3600)
    before = online.lookup(use, ["a"])
    shop.declare(text=VIEW.replace("seen[[", "seen.assign(y=5)[[").replace('"x", ', '"y", "x", '))
    shop.materialize()
    assert online.lookup(use, ["a"]) == before
    online.close()


def test_a_key_of_another_type_is_refused(shop: Shop, online: Online) -> None:
    shop.see((5, -1, 1))
    shop.materialize()
    use = shop.use()
    assert online.lookup(use, [5])[0].state == "fresh"
    for wrong in ("5", True, 5.0):
        with pytest.raises(InvalidInputError, match="its entity 'who' is an integer, not"):
            online.lookup(use, [wrong])  # type: ignore[list-item]  # that is the point


def test_a_view_that_was_never_materialised_has_nothing(shop: Shop, online: Online) -> None:
    shop.see(("a", -1, 1))
    assert online.lookup(shop.use(), ["a"])[0].state == "absent"


def test_what_is_held_in_memory_is_bounded_and_given_up_when_values_change(shop: Shop) -> None:
    shop.see(*((f"e{number}", -1, number) for number in range(50)))
    shop.materialize()
    online = Online(shop.project, cache_rows=10, check_s=0)
    reader = online.reader(shop.use())
    keys = [f"e{number}" for number in range(50)]
    for _ in range(2):
        found = reader.lookup(keys)
        assert [one.features[0] for one in found if one.features] == list(map(float, range(50)))
    assert len(online.held("v", 1).cache) == 10
    shop.see(*((f"e{number}", -1, number + 1) for number in range(50)))
    shop.materialize()
    assert reader.lookup(["e49"])[0].features[0] == 50.0  # type: ignore[index]  # fresh
    online.close()


def test_threads_share_what_is_held_and_only_one_looks_for_changes(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.see(("a", -1, 1))
    shop.materialize()
    online, use = Online(shop.project, check_s=60), shop.use()
    before = online.lookup(use, ["a"])
    online._next_check = 0.0  # as after a minute
    inside, done = threading.Event(), threading.Event()
    real = FeatureReader.versions

    def slow(reader: FeatureReader) -> Any:
        inside.set()
        done.wait(10)
        return real(reader)

    monkeypatch.setattr(FeatureReader, "versions", slow)
    thread = threading.Thread(target=lambda: online.lookup(use, ["a"]))
    thread.start()
    assert inside.wait(10)
    assert online.lookup(use, ["a"]) == before  # while the other one waits for the database
    done.set()
    thread.join()
    online.close()


def test_many_threads_make_room_in_one_cache(shop: Shop) -> None:
    shop.see(*((f"e{number}", -1, number) for number in range(60)))
    shop.materialize()
    online, use = Online(shop.project, cache_rows=5, check_s=9), shop.use()
    names = [f"e{number}" for number in range(60)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda name: online.lookup(use, [name])[0].state, names * 10))
    sys.setswitchinterval(interval)
    assert set(found) == {"fresh"}
    assert len(online.held("v", 1).cache) == 5
    online.close()


def test_what_is_held_is_served_while_the_database_is_away(
    shop: Shop, online: Online, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.see(("a", -1, 1))
    shop.materialize()
    use = shop.use()
    before = online.lookup(use, ["a"])

    def away(*_: object) -> None:
        raise BusyError("away")

    monkeypatch.setattr(FeatureReader, "_fetch", away)
    assert online.lookup(use, ["a"]) == before
    assert online.lookup(use, ["a"], START + 9 * HOUR)[0].state == "stale"
    with pytest.raises(BusyError, match="away"):
        online.lookup(use, ["b"])
    with pytest.raises(BusyError, match="away"):
        Online(shop.project).lookup(use, ["a"])


def test_two_at_once_are_one_too_many(shop: Shop) -> None:
    shop.see(("a", -1, 1))
    with (
        shop.project.lock("features", busy=""),
        pytest.raises(BusyError, match="another process is materialising"),
    ):
        shop.materialize()


@pytest.mark.parametrize("in_place", [5, 1_000_000])
def test_readers_see_the_old_values_or_the_new_ones(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, in_place: int
) -> None:
    monkeypatch.setattr(materialize, "_IN_PLACE", in_place)
    monkeypatch.setattr(unused_values, "BATCH", 50)
    names = [f"e{number}" for number in range(200)]
    shop.see(*((name, -1, 0) for name in names))
    shop.materialize()
    use = shop.use()
    seen: list[set[Any]] = []
    stop = threading.Event()

    def watch() -> None:
        online = Online(shop.project, cache_rows=0, check_s=0)
        while not stop.is_set():
            seen.append({one.features and one.features[0] for one in online.lookup(use, names)})
        online.close()

    watcher = threading.Thread(target=watch)
    watcher.start()
    for turn in range(1, 5):
        shop.see(*((name, -1, turn) for name in names))
        shop.materialize()
    stop.set()
    watcher.join()
    assert len(seen) > 5
    assert all(len(values) == 1 for values in seen)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    events=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(-6, 2), st.none() | st.integers(0, 9)),
        min_size=1, max_size=12,
    ),
    ttl=st.sampled_from(["", ', ttl="3h"', ', ttl="2h", on_missing={"x": -1}']),
)  # fmt: skip
def test_a_look_up_says_what_a_join_at_that_moment_says(
    shop: Shop, events: list[Any], ttl: str
) -> None:
    shop.declare(ttl, version=next(VERSIONS))  # a view that has no past
    shop.see(*events)
    shop.materialize()
    declared = declarations.load(shop.project)
    rows = view_rows.compute(shop.project, declared, declared.view("v"))
    index = point_in_time.index(rows.table, rows.use)
    now = shop.project.now()
    asked = pa.table({"who": ["a", "b", "c"], "t": pa.array([now] * 3, pa.timestamp("us", "UTC"))})
    (joined,) = point_in_time.join([asked], [index], "t")
    online = Online(shop.project, check_s=0)
    found = online.lookup(rows.use, ["a", "b", "c"], now)
    online.close()
    assert [one.features[0] for one in found if one.features] == joined["x"].to_pylist()


def test_the_job_says_what_it_did(shop: Shop, project: Project) -> None:
    shop.see(("a", -1, 1))
    assert materialize.summary([shop.materialize()]) == "v v1: 1 of 1 rows written"
    (shop.project.root / "features.py").unlink()
    assert materialize.summary(materialize.materialize(shop.project)) == "no feature views"
