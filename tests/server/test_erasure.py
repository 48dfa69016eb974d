"""A subject that is erased while a server goes on answering."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlkit.flows import erasure, logs
from mlkit.project import open_project
from mlkit.store import datasets

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
    done = erasure.erase(project, "churn", ["c7"])
    assert done.predictions == 20
    time.sleep(3 * project.settings.log.import_s)
    assert server.predict(ROW, entity_ids=["c8"]).status == 200
    assert server.stop()[0] == 0
    assert logs.read(project, "churn")["_entity"].to_pylist() == ["c8"] * 21
    project.close()
