"""kill -9 at every named moment: nothing half-made, nothing lost, and the next command works."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import chdir, closing
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pytest

from mlkit.flows.data import collect, ingest, leftovers
from mlkit.flows.doctor import checkup
from mlkit.flows.features import materialize
from mlkit.flows.log import logs, retention
from mlkit.flows.operations import backup
from mlkit.flows.registry import deploy
from mlkit.flows.training import retraining_rows, train
from mlkit.project import Project, open_project
from mlkit.provenance import Log
from mlkit.store import audit, datasets, deployments, features, predictions, registry
from mlkit.store.disk import failpoints
from mlkit.store.journal import Journal
from mlkit.store.log_columns import Entry
from mlkit.store.registry import ModelVersion

SOURCE = Path(__file__).parents[1] / "mlkit"
KILLED = -signal.SIGKILL
OLD = timedelta(days=60)
ROWS = 300
FEATURES = """
from mlkit.features import feature_view, sql_view

@feature_view(source="churn", entity="plan", time="since", ttl="9000d")
def plans(churn):
    return churn[["plan", "since", "spend"]]

people = sql_view("people", source="sqlite:///people.sqlite",  # in the working folder
                  query="SELECT * FROM people", entity="id", time="at")
"""


class Case(NamedTuple):
    """A command that reaches the moment; ``then`` is its exit code when it is run again."""

    words: str
    then: int = 0
    code: int = KILLED


STANDING = {"MLKIT_DRIFT_WINDOW": "90d"}  # so that the checks of 90 days open alerts
ERASE = Case("data erase old pro --yes")
RETRAIN = Case("retrain churn --reason test")
CASES = {
    "data.fetched": Case("data pull churn"),
    "data.written": Case("data pull churn"),
    "data.aside": Case("data add churn odd.csv", then=3),
    "data.stored": Case("data add churn fresh.csv"),
    "data.recorded": Case("data add other fresh.csv --target churned"),
    "train.artifact": Case("train churn --data churn --estimator linear"),
    "train.reference": Case("train churn --data churn --estimator linear"),
    "train.version": Case("train churn --data churn --estimator linear"),
    "deploy.written": Case("model promote churn 2 --force"),
    "deploy.committed": Case("model promote churn 2 --force", then=1),
    "retrain.data": RETRAIN,
    "rebuild.stored": Case("data rebuild old@1"),
    "gc.marked": Case("data gc --yes"),
    "gc.deleted": Case("data gc --yes"),
    "erase.asked": ERASE,
    "erase.stored": ERASE,
    "erase.recorded": ERASE,
    "erase.picked": ERASE,
    "erase.segment": ERASE,
    "erase.forgotten": ERASE,
    "erase.deleted": ERASE,
    "journal.moved": Case("log show churn"),
    "actuals.written": Case("actual add actuals.csv"),
    "report.written": Case("drift check churn --window 90d", then=3),
    "features.staged": Case("features materialize plans"),
    "features.published": Case("features materialize plans"),
    "features.changing": Case("features materialize people"),
    "baseline.stored": Case("drift baseline add churn spring --window 90d"),
    "alert.claimed": Case("drift check churn --window 90d", then=3),
    "alert.sent": Case("drift check churn --window 90d", then=3),
    "seal.file": Case("log seal --older-than 1h"),
    "prune.row": Case("job run prune", code=1),
    "job.claimed": Case("job run backup"),
    "backup.snapshot": Case("backup create"),
    "backup.written": Case("backup create"),
    "restore.unpacked": Case("backup restore before.mlkit.tar --to . --replace"),
    "restore.ready": Case("backup restore before.mlkit.tar --to . --replace"),
    "restore.moved": Case("backup restore before.mlkit.tar --to . --replace"),
    "restore.placed": Case("backup restore before.mlkit.tar --to . --replace"),
}


@pytest.fixture(scope="session")
def at_work(
    trained_root: Path,
    tmp_path_factory: pytest.TempPathFactory,
    churn: Callable[..., Any],
    answer: Callable[..., None],
) -> Path:
    """A project with two versions, old answered rows, an orphaned journal and a backup."""
    root = tmp_path_factory.mktemp("at-work") / "project"
    shutil.copytree(trained_root, root)
    shutil.copytree(SOURCE.parent / "jobs", root / "jobs")
    project = open_project(root, environment={})
    frame = churn(rows=ROWS, seed=5).drop(columns="since")
    frame["age"] += 20
    answer(project, frame, age=OLD, known=0.9)
    train.train(project, "churn", "churn", estimator="dummy")
    churn(rows=500, seed=7).to_csv(root / "fresh.csv", index=False)
    _keep_old_versions(project, churn)
    churn(rows=50, seed=8).assign(plan="gold").to_csv(root / "odd.csv", index=False)
    unknown = logs.read(project, "churn")["_id"].to_pylist()[-20:]
    lines = [f"{identifier},yes" for identifier in unknown]
    (root / "mlkit.toml").write_text('[datasets.churn]\nsource = "fresh.csv"\n')
    (root / "actuals.csv").write_text("\n".join(["prediction_id,actual", *lines]))
    (root / "features.py").write_text(FEATURES)
    _add_a_person(root, 1)
    with chdir(root):
        materialize.materialize(project, ["people"])
    _add_a_person(root, 2)
    backup.create(project, root / "before.mlkit.tar")
    _leave_a_journal(project)
    project.close()
    for path in (root, *root.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return root


def _keep_old_versions(project: Project, churn: Callable[..., Any]) -> None:
    """Make three versions that no model knows: one is collected, one could be."""
    for number in (1, 2, 3):
        file = project.root / f"old{number}.csv"
        churn(rows=60, seed=number).to_csv(file, index=False)
        if number == 3:
            collect.collect(project)
        ingest.add(project, "old", file, target="churned", time="since", entity="plan")
    train.train(project, "older", "old", estimator="dummy")
    with project.read() as s:
        older = registry.get_model(s, "older")
        version = registry.get_version(s, older, 1)
        rows = predictions.newest(s, registry.get_model(s, "churn").id, 6)
    entries = [
        msgspec.structs.replace(
            _entry(row, f"{row.id[:-4]}{n:04x}", version),
            entities=["pro" if n % 2 else "free"],
            features=[tuple(json.loads(row.features)[place] for place in (0, 2, 3))],
            served_us=int((project.now() - timedelta(days=80 if n < 3 else 1)).timestamp() * 1e6),
        )
        for n, row in enumerate(rows)
    ]  # fmt: skip
    with project.write() as s:
        predictions.add(s, entries)
    retention.seal(project, older_than="75d")
    told = [(entry.ids[0], "yes") for entry in entries]
    picked = pa.table(
        dict(zip(("_id", "_actual"), map(list, zip(*told, strict=True)), strict=True))
    )
    with project.write() as s:
        newest = datasets.get_version(s, "old")
        newest.provenance = Log(
            model="older", start="2026", end="2027", picked=retraining_rows.store(project, picked)
        )


def _is_erased(root: Path) -> bool:
    """Tell whether no row about "pro" is left in the versions of ``old`` or in its model's log."""
    project = open_project(root, environment={})
    with project.read() as s:
        versions = [v for v in datasets.get(s, "old").versions if v.collected_at is None]
        picked = {v.provenance.picked for v in versions if isinstance(v.provenance, Log)}
    plans = {p for v in versions for p in ingest.load_version(project, v)["plan"].to_pylist()}
    entities = logs.read(project, "older")["_entity"].to_pylist()
    ids = [len(retraining_rows.stored(project, each)) for each in picked]
    unnamed = leftovers.find(project)
    project.close()
    gone = "pro" not in plans and entities == ["free"] * 3 and ids == [3]
    return gone and not [file for file in unnamed if "data" in file.parts or "older" in file.parts]


def _add_a_person(root: Path, number: int) -> None:
    with closing(sqlite3.connect(root / "people.sqlite")) as other, other:
        other.execute("CREATE TABLE IF NOT EXISTS people (id INTEGER, at TEXT, age INTEGER)")
        other.execute("INSERT INTO people VALUES (?, '2026-01-01', 30)", (number,))


def _leave_a_journal(project: Project) -> None:
    """Put ten answers like the last ones into a journal that nobody owns any more."""
    with project.read() as s:
        model = registry.get_model(s, "churn")
        rows = predictions.newest(s, model.id, 10)
        versions = {version.number: version for version in model.versions}
    log = Journal(project.journal_dir)
    now = project.now()
    for row in rows:
        identifier = f"{row.id[:-4]}{int(row.id[-4:], 16) ^ 0xFFFF:04x}"
        log.append(_entry(row, identifier, versions[row.version]), now)
    log.close()


def _entry(row: Any, identifier: str, version: ModelVersion) -> Entry:
    return Entry(
        request_id=identifier, model_id=version.model_id, version_id=version.id, version=1,
        role="champion", served_us=int(row.served_at.timestamp() * 1e6), latency_us=1,
        ids=[identifier], entities=None,
        features=[tuple(json.loads(row.features))], values=[json.loads(row.value)],
        probabilities=[json.loads(row.probabilities)],
    )  # fmt: skip


def test_every_moment_in_the_program_has_a_case() -> None:
    calls = [
        name
        for file in SOURCE.rglob("*.py")
        for name in re.findall(r'failpoints\.reach\("([^"]+)"\)', file.read_text())
    ]
    assert sorted(calls) == sorted(CASES)


@pytest.mark.usefixtures("warm_loading")
@pytest.mark.parametrize("moment", CASES)
def test_a_kill_leaves_nothing_half_made_and_the_next_command_works(
    moment: str, at_work: Path, tmp_path: Path, warm: Any
) -> None:
    root = tmp_path / "project"
    shutil.copytree(at_work, root)
    case = CASES[moment]
    before = _ids(shutil.copytree(at_work, tmp_path / "before"))
    killed = _run(tmp_path, warm, root, case, {failpoints.VARIABLE: moment, **STANDING})
    assert killed.returncode == case.code, killed.stderr
    if moment.startswith("restore") and moment != "restore.placed":  # then the old one is there too
        root = _whole_of(tmp_path)
    kept = _ids(root)
    if moment.startswith("erase"):
        assert not _is_erased(root)
    if moment not in ("prune.row", "restore.placed"):  # which delete, or go back
        assert kept == before
    assert _champions_after(root) == 1
    again = _run(tmp_path, warm, tmp_path / "project", case, {})
    assert again.returncode == case.then, again.stderr
    assert "Traceback" not in killed.stderr + again.stderr
    assert _champions_after(tmp_path / "project") == 1
    assert not (root / "data" / "scratch").exists()
    assert not moment.startswith("erase") or _is_erased(root)


@pytest.mark.parametrize(
    ("moment", "online"),
    [("features.staged", 0), ("features.published", 3), ("features.changing", 1)],
)
def test_a_kill_while_materialising_leaves_the_old_values_or_the_new_ones(
    moment: str, online: int, at_work: Path, tmp_path: Path, warm: Any
) -> None:
    root = tmp_path / "project"
    shutil.copytree(at_work, root)
    case = CASES[moment]
    view = case.words.rpartition(" ")[2]
    _run(tmp_path, warm, root, case, {failpoints.VARIABLE: moment})
    assert _online(root)[view] == online
    _run(tmp_path, warm, root, case, {})
    assert _online(root)[view] == {"plans": 3, "people": 2}[view]
    project = open_project(root, environment={})
    with project.read() as s:
        assert features.leftovers(s) == []
    project.close()


def _online(root: Path) -> dict[str, int]:
    """Return how many entities a look-up finds, by view."""
    project = open_project(root, environment={})
    with project.read() as s:
        found = {v.name: features.count(s, v.set_id or 0) for v in features.list_views(s)}
    project.close()
    return found


def _run(
    tmp_path: Path, warm: Any, root: Path, case: Case, extra: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    folder = root if root.is_dir() else tmp_path
    words = [str(tmp_path / "before.mlkit.tar") if word == "before.mlkit.tar" else
             str(root) if word == "." else word for word in case.words.split()]  # fmt: skip
    if (root / "before.mlkit.tar").is_file():
        shutil.copy(root / "before.mlkit.tar", tmp_path)
    environment = {**os.environ, "MLKIT_LOG_KEEP": "1d", "MLKIT_LOG_SEAL_AFTER": "1d", **extra}
    command = [warm.program(), *(() if "restore" in words else ("--project", str(root))), *words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def _whole_of(folder: Path) -> Path:
    """Return the project that is whole after a killed restore: the old one, or it put aside."""
    (found,) = [path.parent for path in folder.glob("project*/ml.sqlite")]
    return found


def _ids(root: Path) -> list[str]:
    project = open_project(root, environment={})
    found: list[str] = sorted(logs.read(project, "churn")["_id"].to_pylist())
    project.close()
    assert len(found) == len(set(found))
    return found


def _champions_after(root: Path) -> int:
    """Check that every row has its file and history is unbroken; return how many champions."""
    project = open_project(root, environment={})
    try:
        with project.read() as s:
            versions = registry.versions(s, registry.get_model(s, "churn"))
            champions = len(deployments.champions(s))
            datasets_named = {version.dataset_version.sha256 for version in versions}
            assert audit.first_break(s) is None
        for version in versions:
            deploy.load_version(project, version)
            project.references.read(version.reference_sha256)
        for sha256 in datasets_named:
            ingest.load_table(project, sha256)
        found = checkup.examine(root).checks
        assert [line for line in found if line.level == "fail"] == []
        return champions
    finally:
        project.close()
