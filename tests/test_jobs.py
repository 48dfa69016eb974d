"""The jobs that every new project gets do their work in a project with a champion."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from mlkit import timetable
from mlkit.flows.data import rule_edits
from mlkit.project import Project
from mlkit.scheduling import runner, supervisor
from mlkit.settings.table import DatasetSettings, Retrain
from mlkit.store import alerts

SHIPPED = Path(__file__).parents[1] / "jobs"


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    supervisor.preload([])


def test_all_jobs_run_well_in_the_order_of_the_timetable(trained: Project) -> None:
    (trained.root / "jobs").symlink_to(SHIPPED)
    jobs = timetable.load(trained)[:4]
    results = [runner.run_one(trained, job, job.last_until(trained.now())) for job in jobs]
    said = {result.job: result.summary for result in results}
    assert [result.status for result in results] == ["ok"] * 4, said
    assert said["drift"].startswith("churn: v1 ")
    assert said["performance"].startswith("churn: v1 ")
    assert said["retrain"] == "churn: not due"
    assert re.match(r"wrote \S+\.mlkit\.tar ", said["backup"])


def test_the_pruning_says_what_it_did(trained: Project) -> None:
    (trained.root / "jobs").symlink_to(SHIPPED)
    prune = timetable.find(timetable.load(trained), "prune")
    result = runner.run_one(trained, prune, prune.last_until(trained.now()))
    assert (result.status, bool(result.summary)) == ("ok", True)


def test_the_jobs_of_a_new_project_have_nothing_to_do_yet(project: Project) -> None:
    (project.root / "jobs").symlink_to(SHIPPED)
    for name in ("drift", "performance", "retrain"):
        job = timetable.find(timetable.load(project), name)
        assert job.run(project) == "no model has a champion yet"


def test_a_new_category_stops_the_nightly_retraining_with_the_command_that_lets_it_in(
    trained: Project, churn: Callable[..., pd.DataFrame]
) -> None:
    settings = msgspec.structs.replace(
        trained.settings,
        datasets={"churn": DatasetSettings(source="churn.csv")},
        retrain=Retrain(on="always", data="source"),
    )
    project = Project(trained.root, settings, trained.database, trained.clock_file)
    (project.root / "jobs").symlink_to(SHIPPED)
    churn(rows=500, seed=4).replace({"plan": {"pro": "gold"}}).to_csv(
        project.root / "churn.csv", index=False
    )
    job = timetable.find(timetable.load(project), "retrain")
    slot = job.last_until(project.now())
    failed = runner.run_one(project, job, slot)
    assert failed.status == "failed"
    head = "churn failed: dataset 'churn' refuses these rows: 'plan' has the new value 'gold' ("
    assert failed.summary.startswith(head)
    command = "in schemas/churn.yaml: mlkit data rules churn --accept plan=gold"
    assert command in failed.summary
    with project.read() as s:
        (alert,) = alerts.ongoing(s, kinds=("job",))
        assert command in alert.summary
    rule_edits.accept(project, "churn", ["plan=gold"])
    again = runner.run_one(project, job, slot + timedelta(days=1))
    assert again.status == "ok", again.summary
