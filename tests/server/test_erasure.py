"""A subject that is erased while a server goes on answering."""

import re
import shutil
import time
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from mlkit.errors import BusyError, CheckFailedError
from mlkit.flows.alerts import alerting
from mlkit.flows.data import ingest
from mlkit.flows.doctor import checkup
from mlkit.flows.erasure import subject
from mlkit.flows.log import logs
from mlkit.flows.monitoring import drift_watch
from mlkit.flows.operations import audit_check
from mlkit.flows.registry import deploy
from mlkit.flows.training import train
from mlkit.project import create_project, open_project
from mlkit.store import datasets, erasures, registry
from mlkit.store.dialects.sqlite import sqlite_driver

ROW = {"age": 30, "plan": "free", "spend": 12.5, "active": False}


def test_answers_that_are_still_in_the_journal_do_not_come_back(
    trained_root: Path, tmp_path: Path, serve: Callable[..., Any]
) -> None:
    root = tmp_path / "project"
    shutil.copytree(trained_root, root)
    project = open_project(root, environment={})
    with project.write() as s:
        datasets.get(s, "churn").entity_column = "customer"
    server = serve(root, "--workers", "1")
    for _ in range(20):
        assert server.predict(ROW, ROW, entity_ids=["c7", "c8"]).status == 200
    done = subject.erase(project, "churn", ["c7"])
    assert done.predictions == 20
    time.sleep(3 * project.settings.log.import_s)
    assert server.predict(ROW, entity_ids=["c8"]).status == 200
    assert server.stop()[0] == 0
    assert logs.read(project, "churn")["_entity"].to_pylist() == ["c8"] * 21
    project.close()


MARKER = re.compile(r"zqx\w+")


def _people(rows: int = 400) -> pd.DataFrame:
    """Return rows of which three are about a person whose every text is found nowhere else."""
    rng = np.random.default_rng(0)
    since = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(rows), unit="h")
    age = rng.integers(18, 80, rows)
    frame = pd.DataFrame(
        {
            "since": since.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "who": [f"c{number}" for number in rng.integers(0, 50, rows)],
            "age": age,
            "plan": rng.choice(["free", "pro"], rows),
            "note": [f"word{number} text{number % 13}" for number in range(rows)],
            "churned": np.where(rng.random(rows) < 1 / (1 + np.exp((age - 45) / 2)), "yes", "no"),
        }
    )
    theirs = [rows // 4, rows // 2, rows - 1]  # the last one is a golden row
    frame.loc[theirs, "who"] = "zqxwho"
    frame.loc[theirs, "plan"] = "zqxplan"
    frame.loc[theirs, "note"] = "zqxnote to self"
    return frame


def _traces(root: Path) -> list[str]:
    """Return where a marker is in any byte of any file; compressed files are read."""
    found = []
    for file in sorted(root.rglob("*")):
        if not file.is_file():
            continue
        texts = [file.read_bytes().decode("latin-1")]
        if file.suffix == ".parquet":
            texts.append(str(pq.read_table(file).to_pydict()))
        if file.suffix == ".npz":
            with zipfile.ZipFile(file) as archive:
                texts += [archive.read(name).decode("latin-1") for name in archive.namelist()]
        found += [f"{file.relative_to(root)}: {m}" for t in texts for m in set(MARKER.findall(t))]
    return found


def test_no_byte_of_the_project_knows_an_erased_person_while_a_server_runs(
    tmp_path: Path, serve: Callable[..., Any]
) -> None:
    root = tmp_path / "people"
    root.mkdir()
    (root / "mlkit.toml").touch()
    project = create_project(root, environment={})
    _people().to_csv(tmp_path / "people.csv", index=False)
    ingest.add(
        project, "people", tmp_path / "people.csv", target="churned", time="since", entity="who"
    )
    train.train(project, "churn", "people", estimator="linear")
    train.train(project, "churn", "people", estimator="dummy")
    for number in (1, 2, 1):  # a deployment that has ended may change no more, but for this
        with project.write() as s:
            version = registry.get_version(s, registry.get_model(s, "churn"), number)
            evidence = {"slices": {"plan=zqxplan": number}}
            deploy.start(s, project, version, action="promote", reason="", evidence=evidence)
    bad = _people(20)
    bad.loc[0, ["who", "plan"]] = ["zqxwho", "zqxrefused"]
    bad.to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(CheckFailedError):
        ingest.add(project, "people", tmp_path / "bad.csv")
    server = serve(root, "--workers", "1")
    row = {"since": "2026-11-20T00:00:00Z", "age": 30, "plan": "free", "note": "word1"}
    theirs = {**row, "plan": "zqxasked", "note": "zqxagain"}
    for _ in range(40):
        assert server.predict(row, theirs, entity_ids=["c1", "zqxwho"]).status == 200
    before = server.predict(row).body["predictions"]
    drift_watch.check(project, "churn", window="1d")
    summary = "unseen(plan): 'zqxasked' 40 rows"
    alerting.raise_alert(
        project, key="drift:churn", kind="drift", severity="warning", model="churn",
        summary=summary, details={"examples": {"zqxasked": 40.0}},
    )  # fmt: skip
    output = project.log_dir / "jobs" / "drift" / "1.log"
    output.parent.mkdir(parents=True)
    output.write_text(f"{summary}\n")
    kept = {line.partition(":")[0].partition("/")[0] for line in _traces(root)}
    assert kept >= {"data", "artifacts", "schemas", "quarantine", "ml.sqlite-wal", "log"}
    subject.erase(project, "people", ["zqxwho"])
    assert _traces(root) == []
    assert audit_check.faults(project) == []
    assert output.read_text() == "unseen(plan): '(erased)' 40 rows\n"
    time.sleep(2 * project.settings.server.reload_s)
    assert MARKER.search(str(server.ask("GET", "/openapi.json").body)) is None
    after = server.predict(row).body["predictions"]
    assert [each["probabilities"] for each in after] == [each["probabilities"] for each in before]
    assert [line.found for line in checkup.examine(root).checks if line.level == "fail"] == []
    project.close()


def test_an_old_reader_is_named_and_the_erasure_stays_unfinished_until_it_has_gone(
    trained_root: Path, tmp_path: Path
) -> None:
    root = tmp_path / "project"
    shutil.copytree(trained_root, root)
    (root / "mlkit.toml").write_text("[db]\nbusy_timeout_s = 0.2\n")
    project = open_project(root, environment={})
    with project.write() as s:
        datasets.get(s, "churn").entity_column = "customer"
    with closing(sqlite_driver().connect(str(root / "ml.sqlite"))) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM dataset").fetchall()
        with pytest.raises(BusyError, match=r"ml.sqlite-wal still has what was deleted: process"):
            subject.erase(project, "churn", ["c7"])
        with project.read() as s:
            assert erasures.unfinished(s) == ["churn"]
    assert "finished" in subject.resume(project)
    with project.read() as s:
        assert erasures.unfinished(s) == []
    assert (root / "ml.sqlite-wal").stat().st_size < 100_000
    project.close()
