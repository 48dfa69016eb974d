"""One screen: what serves, since when, how much, how well, and what is open."""

from datetime import timedelta
from typing import Any

from sqlalchemy import select

from mlkit.flows.monitoring import monitor
from mlkit.flows.operations import status
from mlkit.project import Project
from mlkit.store.alerts import Alert
from mlkit.store.base import new_id
from mlkit.store.log_columns import Actual, Prediction
from mlkit.store.registry import ModelVersion
from mlkit.store.reports import DriftReport


def _serve(project: Project, *, hours_ago: float, known: bool) -> None:
    then = project.now() - timedelta(hours=hours_ago)
    identifier = new_id(then)
    with project.write() as s:
        s.add(
            Prediction(
                id=identifier,
                request_id="r",
                model_id=1,
                model_version_id=1,
                role="champion",
                features="[]",
                value='"no"',
                latency_us=1,
                served_at=then,
            )
        )
        if known:
            s.add(
                Actual(prediction_id=identifier, value='"no"', observed_at=then, received_at=then)
            )


def _report(project: Project, verdict: str) -> None:
    now = project.now()
    with project.write() as s:
        version = s.scalars(select(ModelVersion)).one()
        s.add(
            DriftReport(
                model_id=version.model_id,
                model_version_id=version.id,
                window_start=now,
                window_end=now,
                verdict=verdict,
                summary="2 of 4 drifted",
                details={},
                created_at=now,
                reference_rows=1,
                current_rows=1,
            )
        )


def test_an_empty_project_has_an_empty_screen(project: Project) -> None:
    found = status.read(project)
    assert (found.models, found.alerts) == ((), ())


def test_traffic_is_that_of_the_last_day(furnished: Project) -> None:
    for hours_ago, known in ((1, True), (2, False), (30, True)):
        _serve(furnished, hours_ago=hours_ago, known=known)
    (model,) = status.read(furnished).models
    assert (model.rows_24h, model.actuals_24h) == (2, 1)
    assert (model.champion, model.versions, model.estimator) == (1, 1, "logistic")


def test_the_newest_verdict_about_the_champion_counts(furnished: Project) -> None:
    _report(furnished, "drift")
    _report(furnished, "ok")
    (model,) = status.read(furnished).models
    assert model.drift is not None
    assert (model.drift.verdict, model.performance) == ("ok", None)
    assert model.drift.history == (None, None)


def test_only_open_alerts_are_shown(furnished: Project) -> None:
    now = furnished.now()
    with furnished.write() as s:
        for key, ended in (("drift:churn", None), ("job:backup", now)):
            s.add(
                Alert(
                    key=key,
                    kind=key.partition(":")[0],
                    severity="warning",
                    summary="s",
                    details={},
                    opened_at=now,
                    last_seen_at=now,
                    resolved_at=ended,
                )
            )
    assert [alert.key for alert in status.read(furnished).alerts] == ["drift:churn"]


def test_the_command_shows_jobs_and_survives_a_broken_timetable(
    furnished: Project, cli: Any
) -> None:
    assert "jobs" in cli("status").output
    assert cli.json("status")["problems"]
    (furnished.root / "jobs").mkdir()
    (furnished.root / "jobs" / "__init__.py").write_text(
        "from mlkit.timetable import Job\nTIMETABLE = (Job('a', str, at='5 1 * * *'),)\n"
    )
    shown = cli.json("status")
    assert [job["job"] for job in shown["jobs"]] == ["a"]
    assert shown["models"][0]["model"] == "churn"
    text = cli("status").output
    assert "churn" in text
    assert "no open alerts" in text


def test_the_models_fit_into_80_columns_and_show_the_last_verdicts(
    trained: Project, trained_cli: Any, churn: Any, answer: Any
) -> None:
    frame = churn(rows=300, seed=5)
    answer(trained, frame.assign(age=frame["age"] + 25))
    for _ in range(9):
        monitor.check_drift(trained, "churn")
        monitor.check_performance(trained, "churn")
    (model,) = status.read(trained).models
    assert model.drift is not None
    assert model.performance is not None
    assert len(model.drift.history) == len(model.performance.history) == 8
    assert all(level is not None and level > 1 for level in model.drift.history)
    lines = trained_cli("status").output.splitlines()
    (line,) = (line for line in lines if line.split()[:1] == ["churn"])
    assert len(line) <= 80
    assert "████████ drift" in line
