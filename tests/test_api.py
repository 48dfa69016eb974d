"""The Python interface: its names and signatures, what importing it costs, and its examples."""

import doctest
import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import mlkit
from mlkit import api, timetable
from mlkit.project import Project
from mlkit.scheduling import runner

SIGNATURES = {
    "check_drift": "(project: 'Project', model: 'str') -> 'DriftChecked'",
    "check_performance": "(project: 'Project', model: 'str') -> 'PerformanceChecked'",
    "create_backup": (
        "(project: 'Project', file: 'str | PathLike[str] | None' = None) -> 'Created'"
    ),
    "for_each_champion": "(project: 'Project', act: 'Callable[[str], str]') -> 'str'",
    "get_features": "(project: 'Project', view: 'str', entities: 'Sequence[str]') -> 'list[Got]'",
    "materialize": "(project: 'Project', views: 'Sequence[str]' = ()) -> 'list[Materialized]'",
    "open_project": "(path: 'str | PathLike[str] | None' = None) -> 'Project'",
    "predict": (
        "(project: 'Project', model: 'str', file: 'str | PathLike[str]',"
        " output: 'str | PathLike[str]', *, version: 'int | None' = None) -> 'Predicted'"
    ),
    "process_alerts": "(project: 'Project') -> 'str'",
    "promote": (
        "(project: 'Project', model: 'str', version: 'int', *, reason: 'str' = '',"
        " force: 'bool' = False) -> 'Deployed'"
    ),
    "prune": "(project: 'Project') -> 'str'",
    "retrain_if_due": "(project: 'Project', model: 'str') -> 'str'",
    "rollback": (
        "(project: 'Project', model: 'str', *, to: 'int | None' = None,"
        " reason: 'str' = '') -> 'Deployed'"
    ),
    "rotate_backups": "(project: 'Project') -> 'str'",
    "train": (
        "(project: 'Project', model: 'str', data: 'str', *, task: 'Wish' = 'auto',"
        " estimator: 'str' = 'auto', tune: 'int' = 0, half_life: 'str' = 'off',"
        " ignore: 'Sequence[str]' = (), promote: 'bool' = False, reason: 'str' = '')"
        " -> 'Trained'"
    ),
}
OTHERS = {"Job", "MlkitError", "Project", "feature_view", "on_demand", "sql_view"}


def test_the_public_names_and_their_signatures() -> None:
    assert set(mlkit.__all__) == SIGNATURES.keys() | OTHERS
    found = {name: str(inspect.signature(getattr(mlkit, name))) for name in SIGNATURES}
    assert found == SIGNATURES


def test_every_public_name_says_what_it_is() -> None:
    assert [
        name for name in mlkit.__all__ if not (getattr(mlkit, name).__doc__ or "").strip()
    ] == []
    assert set(mlkit.__all__) <= set(dir(mlkit))


def test_an_unknown_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'deploy_model'"):
        _ = mlkit.deploy_model  # type: ignore[attr-defined]  # that is the point


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = "import sys, mlkit; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {name for name in loaded if name.startswith("mlkit")} == {"mlkit", "mlkit.moved"}
    assert not {"pandas", "numpy", "sklearn", "sqlalchemy", "click"} & set(loaded)


def test_jobs_import_nothing_else() -> None:
    jobs = Path(__file__).parents[1] / "jobs"
    lines = [
        line.strip()
        for file in jobs.glob("*.py")
        for line in file.read_text().splitlines()
        if line.strip().startswith(("import ", "from "))
    ]
    names = "alerts, backup, drift, materialize, performance, prune, retrain"
    assert set(lines) == {"import mlkit", f"from jobs import {names}"}


def test_the_examples_are_true(
    trained: Project, churn: Callable[..., pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained.root)
    churn().drop(columns="churned").head(3).to_csv("customers.csv", index=False)
    finder, run = doctest.DocTestFinder(), doctest.DocTestRunner()
    found = finder.find(api, extraglobs={"mlkit": mlkit, "project": trained})
    for example in sorted(found, key=lambda each: each.lineno or 0):  # as the page has them
        run.run(example)
    assert run.tries > 10
    assert run.failures == 0


OLD_JOBS = {
    "alerts": (
        "from mlkit import lateness; from mlkit.flows import upkeep",
        'f"{lateness.watch(project)}; {upkeep.tend(project)}"',
    ),
    "backup": ("from mlkit.flows import backup", "backup.rotate(project)"),
    "drift": (
        "from mlkit.flows import champions, monitor",
        "champions.each(project, lambda model: monitor.check_drift(project, model).summary)",
    ),
    "materialize": (
        "from mlkit.flows import features, materialize",
        'materialize.summary(materialize.materialize(project)) if features.exists(project) else ""',
    ),
    "performance": (
        "from mlkit.flows import champions, monitor",
        "champions.each(project, lambda model: monitor.check_performance(project, model).summary)",
    ),
    "prune": ("from mlkit.flows import logs", "logs.prune(project)"),
    "retrain": (
        "from mlkit.flows import champions, retrain",
        "champions.each(project, lambda model: retrain.retrain_if_due(project, model))",
    ),
}


@pytest.mark.parametrize("job", OLD_JOBS)
def test_a_job_of_version_0_1_runs_and_is_told_what_to_write(trained: Project, job: str) -> None:
    imports, result = OLD_JOBS[job]
    folder = trained.root / "jobs"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        f"from jobs import {job}\nfrom mlkit.timetable import Job\n"
        f'TIMETABLE = (Job("{job}", {job}.run, at="5 1 * * *"),)\n'
    )
    (folder / f"{job}.py").write_text(
        f"from mlkit.project import Project\n\n\ndef run(project: Project) -> str:\n"
        f"    {imports}\n    return {result}\n"
    )
    found = timetable.find(timetable.load(trained), job)
    done = runner.run_one(trained, found, trained.now())
    assert done.status == "ok", done
    said = done.output.read_text()
    assert "DeprecationWarning" in said
    assert "import mlkit and call mlkit." in said
