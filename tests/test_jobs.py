"""The jobs that every new project gets do their work in a project with a champion."""

import re
from pathlib import Path

import pytest

from mlkit import runner, supervisor, timetable
from mlkit.project import Project

SHIPPED = Path(__file__).parents[1] / "jobs"


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    supervisor.preload([])


def test_all_jobs_run_well_in_the_order_of_the_timetable(trained: Project) -> None:
    (trained.root / "jobs").symlink_to(SHIPPED)
    results = list(runner.run_missed(trained, timetable.load(trained)[:4]))
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
