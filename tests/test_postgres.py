"""The loop on a real PostgreSQL: the same code, the same rows, the same promises."""

import json
import os
import runpy
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import Session

from mlkit.errors import BusyError, ConflictError, InvalidInputError, MlkitError
from mlkit.flows.alerts import alerting
from mlkit.flows.data import catalog, collect, ingest
from mlkit.flows.data.query_source import QuerySource
from mlkit.flows.doctor import checkup
from mlkit.flows.erasure import subject
from mlkit.flows.features import feature_plan, freshness, joining, materialize
from mlkit.flows.features.online import Online
from mlkit.flows.lineage import ask, rebuild
from mlkit.flows.log import actuals, logs, retention
from mlkit.flows.log.actuals import ActualItem
from mlkit.flows.monitoring import baselines, monitor
from mlkit.flows.operations import audit_check, backup, status, upkeep
from mlkit.flows.registry import deploy
from mlkit.flows.training import retrain, train
from mlkit.project import Project, create_project
from mlkit.settings.table import Alerts, DatasetSettings, Features
from mlkit.store import (
    alerts,
    audit,
    datasets,
    deployments,
    file_digests,
    outbox,
    predictions,
    registry,
    requests,
    schema,
)
from mlkit.store.engine import Database
from mlkit.store.log_columns import Entry

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
ACCOUNT = "postgres" if os.getuid() == 0 else None  # the server refuses to run as root

pytestmark = pytest.mark.skipif(not PROGRAMS, reason="this machine has no PostgreSQL")


def _program(name: str, *words: object) -> None:
    command = [str(PROGRAMS[-1] / name), *map(str, words)]
    subprocess.run(command, user=ACCOUNT, cwd="/", check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL, without a database's name, of a server that lives as long as these tests."""
    folder = Path("/tmp") / f"mlkit-postgres-{os.getpid()}"  # noqa: S108  # socket paths are short
    folder.mkdir(mode=0o700)
    if ACCOUNT:
        shutil.chown(folder, ACCOUNT)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    _program("initdb", "-D", folder / "data", "-A", "trust", "-U", "mlkit", "--no-sync")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    _program("pg_ctl", "-D", folder / "data", "-o", options, "-l", folder / "log", "-w", "start")
    yield f"postgresql+psycopg://mlkit@127.0.0.1:{port}"
    _program("pg_ctl", "-D", folder / "data", "-m", "immediate", "stop")
    shutil.rmtree(folder)


@pytest.fixture
def shop(server: str, tmp_path: Path) -> Iterator[Project]:
    """A new project whose database is on the server."""
    name = f"shop{time.monotonic_ns()}"
    root = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    with root.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    root.dispose()
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "mlkit.toml").write_text(f'[db]\nurl = "{server}/{name}"\n')
    shutil.copytree(Path(__file__).parents[1] / "jobs", folder / "jobs")
    made = create_project(folder, environment={})
    yield made
    made.close()


def _learn(shop: Project, frame: pd.DataFrame) -> None:
    file = shop.root / "churn.csv"
    frame.to_csv(file, index=False)
    ingest.add(shop, "churn", file, target="churned", time="since")
    done = train.train(shop, "churn", "churn", estimator="linear", promote=True)
    assert done.promoted


def test_the_loop_goes_round(
    shop: Project, churn: Callable[..., pd.DataFrame], answer: Callable[..., None]
) -> None:
    _learn(shop, churn())
    odd = churn(rows=600, seed=3).drop(columns="since")
    odd["age"] += 30
    answer(shop, odd)
    drift = monitor.check_drift(shop, "churn")
    assert set(drift.drifted) == {"age", "range(age)", "prediction(value)", "probability(yes)"}
    assert monitor.check_performance(shop, "churn").rows == 600
    answer(shop, odd, age=timedelta(hours=36))
    _compare_with_the_log(shop)
    done = retrain.retrain(shop, "churn", reason="moved")
    assert done.version == 2
    if not done.promoted:
        deploy.promote(shop, "churn", 2, force=True)
    deploy.rollback(shop, "churn", reason="a test")
    newest, *_ = deploy.history(shop, "churn")
    assert (newest.version, newest.action) == (1, "rollback")
    before = logs.read(shop, "churn").sort_by("_seq").to_pylist()
    assert retention.seal(shop, older_than="1h").rows > 0
    assert logs.read(shop, "churn").sort_by("_seq").to_pylist() == before
    assert "not SQLite" in backup.rotate(shop)
    assert [line for line in checkup.examine(shop.root).checks if line.level == "fail"] == []
    assert status.read(shop).models[0].champion == 1
    with shop.read() as s:
        assert audit.first_break(s) is None
    assert audit_check.faults(shop) == []


def test_actuals_are_corrected_and_request_ids_are_kept(
    shop: Project, churn: Callable[..., pd.DataFrame], answer: Callable[..., None]
) -> None:
    _learn(shop, churn())
    answer(shop, churn(rows=2).drop(columns="since"))
    row, other = logs.read(shop, "churn").to_pylist()
    wrong = ActualItem(row["_id"], "no" if row["_actual"] == "yes" else "yes")
    with pytest.raises(ConflictError, match="has another actual already"):
        actuals.add(shop, [wrong])
    assert actuals.add(shop, [msgspec.structs.replace(wrong, correct=True)]).corrected == 1
    assert logs.read(shop, "churn")["_actual"].to_pylist() == [wrong.actual, other["_actual"]]
    with shop.read() as s:
        model_id = registry.get_model(s, "churn").id
    entry = Entry(
        request_id="mine", model_id=model_id, version_id=1, version=1, role="champion",
        latency_us=1, served_us=1_700_000_000_000_000, ids=[row["_id"]], entities=None,
        features=[], values=[],
        probabilities=None, owner="ann", digest="one",
    )  # fmt: skip
    later = msgspec.structs.replace(entry, served_us=1_800_000_000_000_000, digest="two")
    with shop.write() as s:
        requests.add(s, [entry, later, entry])
    with shop.read() as s:
        found = requests.find(s, model_id, "mine", "ann")
        assert found is not None
        assert found.digest == "two"
        assert requests.find(s, model_id, "mine", "bob") is None
    with shop.write() as s:
        predictions.forget(s, [row["_id"]])
        assert requests.find(s, model_id, "mine", "ann") is not None  # it was another's row
        requests.forget(s, model_id, [("mine", row["_id"])])
    with shop.read() as s:
        assert requests.find(s, model_id, "mine", "ann") is None


def _compare_with_the_log(shop: Project) -> None:
    day = baselines.window(shop, length="2d", start=None, end=None)
    baselines.add(shop, "churn", "lately", day)
    for against, rows in (("previous", 600), ("lately", 1200)):
        found = monitor.check_drift(shop, "churn", against=against)
        assert (found.verdict, found.rows.reference, found.standing) == ("ok", rows, False)
    assert monitor.check_drift(shop, "churn", against="seasonal").rows.reference == 0
    assert [line.name for line in baselines.list_baselines(shop)] == ["lately"]
    baselines.remove(shop, "churn", "lately")
    changed = msgspec.structs.replace(
        shop.settings, drift=msgspec.structs.replace(shop.settings.drift, reference="previous")
    )
    monitor.check_drift(Project(shop.root, changed, shop.database), "churn")
    with shop.read() as s:
        events = s.scalars(select(audit.AuditEvent).order_by(audit.AuditEvent.seq))
        actions = [event.action for event in events if event.action != "change"]
    assert actions[-3:] == ["baseline-add", "baseline-remove", "reference"]


def test_versions_are_traced_made_again_collected_and_rid_of_a_subject(
    shop: Project, churn: Callable[..., pd.DataFrame], answer: Callable[..., None]
) -> None:
    frame = churn(rows=600)
    frame["who"] = [f"c{n % 50}" for n in range(600)]
    _learn(shop, churn())
    answer(shop, churn(rows=300, seed=3).drop(columns="since"), age=timedelta(hours=36))
    done = retrain.retrain(shop, "churn")
    assert rebuild.rebuild(shop, done.dataset).same
    row = logs.read(shop, "churn").to_pylist()[0]
    assert f"dataset:{done.dataset}" in ask.trace(shop, row["_id"]).down
    for rows in (600, 500, 400):
        file = shop.root / f"people{rows}.csv"
        frame.head(rows).to_csv(file, index=False)
        ingest.add(shop, "people", file, target="churned", time="since", entity="who")
    assert [one.reference for one in collect.collect(shop).versions] == ["people@1", "people@2"]
    train.train(shop, "people", "people", estimator="linear")
    erased = subject.erase(shop, "people", ["c7"], reason="a test")
    assert (erased.versions[0].rows, erased.models) == (8, ("people v1",))
    assert rebuild.rebuild(shop, "people@2").restored
    assert catalog.show(shop, "people@2").erased_rows == 10
    assert catalog.diff(shop, "people@2", "people@3").keys.removed == 98
    assert [line for line in checkup.examine(shop.root).checks if line.level == "fail"] == []
    with shop.read() as s:
        assert audit.first_break(s) is None
    assert audit_check.faults(shop) == []


def test_promotions_at_once_never_leave_none_or_two_champions(
    shop: Project, churn: Callable[..., pd.DataFrame]
) -> None:
    _learn(shop, churn())
    for _ in range(2):
        train.train(shop, "churn", "churn", estimator="linear")

    def promote(number: int) -> None:
        deploy.promote(shop, "churn", 1 + number % 3, force=True)

    with ThreadPoolExecutor(4) as pool:
        outcomes = [pool.submit(promote, number) for number in range(12)]
    assert any(outcome.exception() is None for outcome in outcomes)
    with shop.read() as s:
        assert len(deployments.champions(s)) == 1
        assert audit.first_break(s) is None
    assert audit_check.faults(shop) == []


def test_features_are_joined_materialised_and_looked_up(shop: Project) -> None:
    now = pd.Timestamp(shop.now()).floor("s")
    weather = pd.DataFrame({"origin": ["JFK", "EWR"] * 2, "temp": [1.0, 2.0, None, 4.0],
                            "at": [now - pd.Timedelta(hours=h) for h in (2, 2, 1, 1)]})  # fmt: skip
    flights = pd.DataFrame({"origin": ["JFK", "LGA"], "time": [now - pd.Timedelta("90min")] * 2})
    for name, frame, column in (("weather", weather, "at"), ("flights", flights, "time")):
        frame.to_parquet(shop.root / f"{name}.parquet")
        ingest.add(shop, name, shop.root / f"{name}.parquet", time=column)
    (shop.root / "features.py").write_text(
        "from mlkit.features import feature_view\n"
        "@feature_view(source='weather', entity='origin', time='at', ttl='3h')\n"
        "def at_origin(weather):\n    return weather\n"
    )
    joined = joining.join(shop, "joined", joining.Recipe("flights", ("at_origin",)))
    with shop.read() as s:
        plan = feature_plan.of(s, datasets.get_version(s, "joined"))
        sha256 = datasets.get_version(s, "joined").sha256
    assert joined.new
    assert ingest.load_table(shop, sha256)["temp"].to_pylist() == [1.0, None]
    assert plan is not None
    online = Online(shop, check_s=0)
    assert [materialize.materialize(shop)[0].written for _ in range(2)] == [2, 0]
    found = online.lookup(plan.views[0], ["JFK", "EWR", "LGA"])
    assert [(one.features, one.state) for one in found] == [
        ((None,), "fresh"), ((4.0,), "fresh"), ((None,), "absent"),
    ]  # fmt: skip
    assert (
        online.lookup(plan.views[0], ["EWR"], shop.now() + timedelta(hours=3))[0].state == "stale"
    )
    weather.assign(temp=6.0).to_parquet(shop.root / "weather.parquet")
    ingest.add(shop, "weather", shop.root / "weather.parquet")
    assert materialize.materialize(shop)[0].written == 2
    assert online.lookup(plan.views[0], ["JFK"])[0].features == (6.0,)
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with shop.write() as s:  # as when the server is restarted
        s.execute(text("SELECT pg_terminate_backend(pid) " + others))
    assert online.lookup(plan.views[0], ["EWR"])[0].features == (6.0,)
    for _ in range(3):  # which no row can have, and which costs no connection
        with pytest.raises(InvalidInputError, match="does not take a value"):
            online.lookup(plan.views[0], ["E\0R"])
    assert len(online._reader._open) == 1
    online.close()


def test_a_request_is_filled_from_the_online_store_and_its_trouble_is_told(shop: Project) -> None:
    parts = runpy.run_path(str(Path(__file__).with_name("featured.py")))
    parts["declare"](shop.root)
    settings = msgspec.structs.replace(shop.settings, features=Features(check_s=0))
    project = Project(shop.root, settings, shop.database, shop.root / "now")
    parts["learn"](project)
    featured = parts["Featured"](shop.root, project)
    assert len(freshness.troubles(project)) == freshness.watch(project) == 2
    featured.at("2026-02-20T12:10:00+00:00")
    featured.materialize()
    assert freshness.watch(project) == len(alerting.ongoing(project)) == 0
    rows = [{"origin": "JFK", "km": 5.0}, {"origin": "XXX", "km": 5.0}]
    assert featured.predict(*rows, entity_ids=[3, 11]).status_code == 200
    known, unknown = featured.logged()
    assert (known["temp"], known["rides"], known["cold_km"]) == (12.5, 24, 87.5)
    assert (unknown["temp"], unknown["rides"], unknown["best"]) == (None, 0, "none")


def test_many_who_wait_to_write_keep_nobody_from_reading(shop: Project) -> None:
    """Tokens are read beside them: a server that cannot read those answers nothing."""
    database = Database(shop.database.url, busy_timeout_s=0.5)
    began = time.monotonic()

    def write(number: int) -> str:
        try:
            with database.write() as s:
                s.execute(text("DELETE FROM token WHERE id = :id"), {"id": str(number)})
        except BusyError:
            return "busy"
        return "written"

    with shop.write() as holder, ThreadPoolExecutor(40) as crowd:
        holder.execute(text("LOCK TABLE token IN EXCLUSIVE MODE"))
        writers = [crowd.submit(write, number) for number in range(40)]
        time.sleep(0.2)
        asked = time.monotonic()
        with database.read() as s:
            assert s.scalar(text("SELECT count(*) FROM token")) == 0
        assert time.monotonic() - asked < 0.3
        assert {each.result() for each in writers} == {"busy"}
    assert time.monotonic() - began < 5
    for patience_s in (0.0, float("inf")):
        other = Database(shop.database.url, busy_timeout_s=patience_s)
        with other.write() as s:
            s.execute(text("DELETE FROM token"))
        other.dispose()
    assert write(0) == "written"
    database.dispose()


def test_two_clocks_that_start_a_slot_together_run_it_once(shop: Project) -> None:
    words = [sys.executable, "-m", "mlkit", "--project", str(shop.root), "job"]
    run = [*words, "run", "prune", "--due", "2026-01-04T03:45:00Z", "--json"]
    both = [subprocess.Popen(run, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    results: list[Any] = [json.loads(process.communicate()[0]) for process in both]
    assert sorted(result["ran"] for result in results) == [False, True]
    listed = json.loads(subprocess.check_output([*words, "history", "--json"]))
    assert [row["status"] for row in listed] == ["ok"]


def test_an_alert_lives_and_is_told_once_by_many(shop: Project, tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("2026-01-05T12:00:00+00:00")
    told = tmp_path / "told"
    code = f"import sys; open({str(told)!r}, 'a').write(sys.stdin.read() + chr(10))"
    chosen = Alerts(command=(sys.executable, "-c", code), digest="daily", escalate_after="2d")
    settings = msgspec.structs.replace(shop.settings, alerts=chosen)
    project = Project(shop.root, settings, shop.database, clock)

    def see(number: int) -> bool:
        return alerting.raise_alert(
            project, key=f"drift:m{number % 3}", kind="drift", severity="warning", model=None,
            summary="moved", details={},
        )  # fmt: skip

    def tend(_: int) -> str:
        return upkeep.process(project)

    def texts() -> list[str]:
        lines = told.read_text().splitlines() if told.exists() else []
        return sorted(json.loads(line)["text"] for line in lines)

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(see, range(12))) == 3
        assert alerting.resolve(project, "drift:m0", "gone")
        assert not see(0)  # taken up again
        known = {line.key: line for line in alerting.ongoing(project)}
        assert [known[f"drift:m{number}"].flaps for number in range(3)] == [1, 0, 0]
        alerting.ack(project, known["drift:m0"].id)
        alerting.snooze(project, known["drift:m1"].id, "1d")
        clock.write_text("2026-01-06T08:00:00+00:00")
        list(pool.map(tend, range(6)))
        assert texts() == ["digest: 2 ongoing, 0 ended in shop"]
        told.unlink()
        clock.write_text("2026-01-08T07:00:00+00:00")
        list(pool.map(tend, range(6)))
        upkeep.process(project)
    # the snooze of the second is over (its reminder waits for the digest), the third is critical
    assert [text for text in texts() if text.startswith("escalated")] == ["escalated: moved"]
    severities = {line.key: line.severity for line in alerting.ongoing(project)}
    assert severities == {
        "drift:m0": "warning", "drift:m1": "warning", "drift:m2": "critical",
    }  # fmt: skip


def test_an_old_database_gets_the_new_columns(
    server: str, migrate: Callable[[Session, str], None]
) -> None:
    url = f"{server}/old{time.monotonic_ns()}"
    root = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    with root.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {url.rpartition('/')[2]}"))
    root.dispose()
    database = Database(url)
    with database.write() as s:
        migrate(s, "0002")
        s.execute(text(
            "INSERT INTO alert (key, kind, severity, summary, details, opened_at, last_seen_at, "
            "times_seen) VALUES ('drift:a', 'drift', 'warning', '', '{}', now(), now(), 1)"
        ))  # fmt: skip
        s.execute(text(
            "INSERT INTO alert_delivery (alert_id, event, sink, attempts) "
            "VALUES (1, 'firing', 'webhook', 20), (1, 'firing', 'mail', 19)"
        ))  # fmt: skip
    schema.upgrade(database)
    with database.read() as s:
        assert outbox.sinks_waiting(s) == ["mail"]
        assert [alert.flaps for alert in alerts.ongoing(s)] == [0]
    database.dispose()


def test_sources_are_pulled_and_remembered(
    server: str,
    shop: Project,
    churn: Callable[..., pd.DataFrame],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    frame = churn(rows=12_000)
    frame["since"] = pd.to_datetime(frame["since"])
    frame["nothing"] = None
    name = shop.database.url.database
    theirs = create_engine(f"{server}/{name}")
    frame.to_sql("customers", theirs, index=False)
    monkeypatch.setenv("SHOP_PASSWORD", "s3cret")
    url = f"{server}/{name}".replace("mlkit@", "mlkit:${SHOP_PASSWORD}@").replace("+psycopg", "")
    query = "SELECT *, 10.5::numeric AS rate, 'a%'::text AS t FROM customers ORDER BY since"
    added = ingest.add(shop, "crm", QuerySource(url, query, shop.root), target="churned")
    table = ingest.load_table(shop, added.sha256)
    assert table.num_rows == 12_000
    assert table["since"].to_pylist()[0] == frame["since"][0].to_pydatetime()
    assert table["rate"].to_pylist()[0] == 10.5
    with shop.read() as s:
        made = datasets.get_version(s, "crm")
        assert made.transformation["url"] == url
        assert "s3cret" not in f"{made.source} {made.transformation}"
    with pytest.raises(InvalidInputError, match="remembered in the database"):
        ingest.pull(shop, "crm")
    stated = {"crm": DatasetSettings(source=url, query=query)}
    shop = replace(shop, settings=msgspec.structs.replace(shop.settings, datasets=stated))
    assert ingest.pull(shop, "crm").new is False
    with theirs.begin() as connection:
        connection.execute(text("DELETE FROM customers WHERE age > 70"))
    assert ingest.pull(shop, "crm").version == 2
    for bad in ("DELETE FROM customers", "CREATE TABLE t (a int)",
                "WITH gone AS (DELETE FROM customers RETURNING *) SELECT * FROM gone",
                f"COPY customers TO '{tmp_path}/new'", "SELECT 1; COMMIT; DROP TABLE customers",
                f"SELECT 1; COPY customers TO '{tmp_path}/new'"):  # fmt: skip
        with pytest.raises(
            InvalidInputError, match=r"read-?only|syntax error|DECLARE CURSOR|multiple commands"
        ):
            ingest.add(shop, "crm", QuerySource(url, bad, shop.root))
    assert not (tmp_path / "new").exists()
    theirs.dispose()


def test_a_killed_pull_leaves_the_old_state_or_the_new(
    shop: Project, churn: Callable[..., pd.DataFrame], warm: Any
) -> None:
    file = shop.root / "churn.csv"
    churn().to_csv(file, index=False)
    ingest.add(shop, "churn", file, target="churned")
    old = time.time() - 60
    with (shop.root / "mlkit.toml").open("a") as stream:
        stream.write('[datasets.churn]\nsource = "churn.csv"\n')
    words = [warm.program(), "--project", str(shop.root), "data", "pull", "churn"]
    for number, moment in enumerate(("data.fetched", "data.written", "data.stored"), start=2):
        churn(seed=number).to_csv(file, index=False)
        os.utime(file, (old, old))
        killed = subprocess.run(words, env={**os.environ, "MLKIT_FAILPOINT": moment}, check=False)
        assert killed.returncode == -9
        with shop.read() as s:
            assert datasets.get_version(s, "churn").number == number - 1
        subprocess.run(words, check=True, capture_output=True)
        with shop.read() as s:
            assert datasets.get_version(s, "churn").number == number
        assert not (shop.root / "data" / "scratch").exists()
    time.sleep(2.1)  # a file that was written a moment ago is not taken for unchanged
    subprocess.run(words, check=True, capture_output=True)
    with shop.read() as s:
        assert file_digests.find(s, str(file), file_digests.Stamp.of(file.stat()))


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_in_another_encoding_is_used_as_far_as_it_goes(
    server: str, tmp_path: Path, encoding: str
) -> None:
    name = f"other{time.monotonic_ns()}"
    root = create_engine(
        f"{server}/template1",
        isolation_level="AUTOCOMMIT",
        connect_args={"client_encoding": "utf8"},
    )
    with root.connect() as connection:
        connection.execute(
            text(f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LOCALE 'C'")
        )
    root.dispose()
    (tmp_path / "mlkit.toml").write_text(f'[db]\nurl = "{server}/{name}"\n')
    made = create_project(tmp_path, environment={})
    told = {"kind": "k", "severity": "warning", "model": None, "details": {}}
    try:
        alerting.raise_alert(made, key="cafe", summary="caf\u00e9", **told)
        with made.read() as reading:
            assert [each.summary for each in alerts.ongoing(reading)] == ["caf\u00e9"]
        if encoding == "LATIN1":
            with pytest.raises(MlkitError, match="should be a database in UTF8"):
                alerting.raise_alert(made, key="arrow", summary="\u2192", **told)
    finally:
        made.close()
