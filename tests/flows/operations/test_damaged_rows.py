"""A version whose row was edited is told of, and keeps no other from its turn."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from mlkit.errors import DamagedError, MlkitError
from mlkit.flows.alerts import alerting
from mlkit.flows.data import catalog
from mlkit.flows.doctor import files
from mlkit.flows.features import freshness
from mlkit.flows.monitoring import estimates, history, report
from mlkit.flows.operations import gauges, status
from mlkit.flows.registry import champions, deploy, models
from mlkit.pages import trend
from mlkit.project import Project
from mlkit.server.models.holder import Holder
from mlkit.store import deployments, reports
from mlkit.store import estimates as store_estimates
from mlkit.store.estimates import PerformanceEstimate
from mlkit.store.reports import DriftReport, PerformanceReport

EDITS = [
    ("metrics", '{"log_loss": "0.3"}'),
    ("metrics", '"good"'),
    ("metrics", "good"),
    ("metrics", '{"log_loss": 1' + "0" * 400 + "}"),
    ("intervals", '{"log_loss": "x"}'),
    ("intervals", '{"log_loss": [1]}'),
    ("verdict", "[]"),
    ("verdict", '{"accepted": "yes", "reason": 3}'),
    ("params", '{"backend": 3}'),
    ("packages", '{"numpy": 3}'),
    ("warnings", "[null]"),
    ("slices", '"none"'),
    ("code", '{"files": 3}'),
    ("code", '{"libraries": [3]}'),
    ("holdout_rows", "many"),
    ("number", "first"),
]


def _edit(project: Project, model: str, column: str, text: str) -> None:
    with project.database.engine.begin() as connection:
        connection.execute(
            sa.text(
                f"UPDATE model_version SET {column} = :text "  # noqa: S608  # a name of this file
                "WHERE model_id = (SELECT id FROM model WHERE name = :model)"
            ),
            {"text": text, "model": model},
        )


@pytest.fixture
def three(project: Project, register: Callable[..., Any]) -> Project:
    for name in ("a", "b", "c"):
        register(project, name)
    return project


@pytest.mark.parametrize(("column", "text"), EDITS)
def test_an_edited_row_is_an_error_of_that_model_alone(
    three: Project, column: str, text: str
) -> None:
    _edit(three, "a", column, text)
    with pytest.raises(DamagedError, match=f"not as it was recorded.*{column}|no JSON"):
        deploy.find_version(three, "a")
    listed = models.summaries(three)
    assert [(one.model, one.champion, bool(one.problem)) for one in listed] == [
        ("a", None, True), ("b", 1, False), ("c", 1, False),
    ]  # fmt: skip
    assert [(one.champion, bool(one.problem)) for one in status.read(three).models] == [
        (None, True), (1, False), (1, False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("table", "column"), [("model_version", "created_at"), ("deployment", "started_at")]
)
def test_an_edited_time_is_an_error_of_that_model_alone(
    three: Project, table: str, column: str
) -> None:
    with three.database.engine.begin() as connection:
        names = connection.execute(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
        for (name,) in names.all():  # whoever edits the file does the same
            connection.execute(sa.text(f'DROP TRIGGER "{name}"'))
        connection.execute(sa.text(f"UPDATE {table} SET {column} = 'never' WHERE id = 1"))  # noqa: S608  # names of this file
    with pytest.raises(DamagedError, match=r"a time in the database .*'never'"):
        deploy.find_version(three, "a")
    assert [one.champion for one in models.summaries(three)] == [None, 1, 1]
    assert [one.champion for one in status.read(three).models] == [None, 1, 1]


@pytest.mark.parametrize("text", ["[]", "good", '"good"'])
def test_an_edited_report_keeps_the_other_models_on_the_screen(three: Project, text: str) -> None:
    now = three.now()
    with three.write() as s:
        for champion in deployments.champions(s):
            s.add(
                PerformanceReport(
                    model_id=champion.model_id, model_version_id=champion.model_version_id,
                    window_start=now, window_end=now, verdict="ok", summary="ok", created_at=now,
                    details={"metric": "log_loss", "value": "0.3"}, rows=1, coverage=1.0,
                )
            )  # fmt: skip
    with three.database.engine.begin() as connection:
        query = "UPDATE performance_report SET details = :text WHERE model_id = 1"
        connection.execute(sa.text(query), {"text": text})
    lines = status.read(three).models
    assert [bool(one.problem) for one in lines] == [True, False, False]
    assert {name: each.value for name, each in gauges.read(three).performance.items()} == {
        "b": None, "c": None,
    }  # fmt: skip


def test_jobs_reach_the_models_beside_an_edited_one(three: Project) -> None:
    _edit(three, "b", "metrics", "good")
    with pytest.raises(MlkitError, match=r"^a: v1; b failed: .*no JSON.*; c: v1$"):
        champions.each(three, lambda model: f"v{deploy.find_version(three, model).number}")


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("transformation", "[]"),
        ("transformation", '{"kind": "join", "views": 3}'),
        ("transformation", '{"kind": "join", "views": [{}], "on_demand": []}'),
        ("transformation", '{"kind": "join", "views": [], "on_demand": [{"name": "x"}]}'),
        ("profile", "{}"),
        ("profile", '{"columns": [{"name": "x"}]}'),
        ("profile", "[]"),
        ("profile", "{"),
        ("parents", "3"),
        ("rows", "many"),
        ("warnings", "[3]"),
    ],
)
def test_an_edited_dataset_version_is_an_error_of_the_models_that_learned_from_it(
    three: Project, column: str, text: str
) -> None:
    with three.database.engine.begin() as connection:
        query = f"UPDATE dataset_version SET {column} = :text WHERE id = 1"  # noqa: S608  # a name of this file
        connection.execute(sa.text(query), {"text": text})
    with pytest.raises(DamagedError, match=f"not as it was recorded.*{column}|no JSON"):
        deploy.find_version(three, "a")
    assert [one.champion for one in models.summaries(three)] == [None, 1, 1]
    assert [bool(one.problem) for one in status.read(three).models] == [True, False, False]
    assert freshness.troubles(three) == []
    listed = catalog.list_datasets(three)
    assert [(one.dataset, one.version, bool(one.problem)) for one in listed] == [
        ("a", None, True), ("b", 1, False), ("c", 1, False),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["[]", "good", '"good"', "null", "3", "{}"])
def test_an_edited_alert_is_told_of_and_ends_as_the_others_do(three: Project, text: str) -> None:
    for name in ("a", "b"):
        alerting.raise_alert(
            three, key=f"freshness:{name}", kind="freshness", severity="warning", model=None,
            summary="late", details={"view": name},
        )  # fmt: skip
    with three.database.engine.begin() as connection:
        query = "UPDATE alert SET details = :text WHERE key = 'freshness:a'"
        connection.execute(sa.text(query), {"text": text})
    found = [line.details for line in alerting.ongoing(three)]
    assert [set(details) for details in found] == [set() if text == "{}" else {"problem"}, {"view"}]
    assert freshness.watch(three) == 0
    assert alerting.ongoing(three) == []
    assert alerting.deliver(three).failed == 0


@pytest.mark.parametrize(
    ("table", "column"),
    [
        *(("alert", name) for name in ("opened_at", "last_seen_at", "acked_at", "snoozed_until")),
        *(("alert_delivery", name) for name in ("created_at", "next_attempt_at")),
    ],
)
def test_an_edited_time_of_an_alert_takes_no_other_alerts_turn(
    three: Project, table: str, column: str
) -> None:
    for name in ("a", "b"):
        alerting.raise_alert(
            three, key=f"freshness:{name}", kind="freshness", severity="warning", model=None,
            summary="late", details={"view": name},
        )  # fmt: skip
    with three.database.engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE {table} SET {column} = 'never' WHERE id = 1"))  # noqa: S608  # names of this file
    assert [line.key for line in alerting.ongoing(three)] == ["freshness:a", "freshness:b"]
    assert len(status.look(three).alerts) == len(alerting.newest(three, 9)) == 2
    assert alerting.deliver(three).failed == 0
    assert freshness.watch(three) == 0
    assert alerting.ongoing(three) == []


def test_an_edited_estimate_is_a_damaged_one(reported: Project) -> None:
    now = reported.now()
    with reported.write() as s:
        s.add(
            PerformanceEstimate(
                report_id=1, model_version_id=1, window_start=now, window_end=now, metric="mae",
                value=1.0, low=0.5, high=2.0, trusted=True, rows=9, realised=1.0,
            )
        )  # fmt: skip
    with reported.database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE performance_estimate SET realised = 'much'"))
    with reported.read() as s, pytest.raises(DamagedError, match="realised is 'much'"):
        store_estimates.latest_realised(s, 1, 3)


def test_doctor_looks_at_the_versions_beside_an_edited_one(three: Project) -> None:
    _edit(three, "b", "metrics", "good")
    edited, *others = [finding.found for finding in files.models(three)]
    assert "no JSON" in edited
    assert {text.partition(" ")[0] for text in others} == {"a", "c"}  # whose files are not there


def test_a_server_serves_the_models_beside_an_edited_one(three: Project) -> None:
    _edit(three, "b", "metrics", "good")
    holder = Holder(three)
    holder.refresh()
    assert set(holder.serving) == {"a", "c"}
    assert "no JSON" in holder.problems["b"]
    with pytest.raises(MlkitError, match=r"model 'b' is not ready: .*no JSON"):
        holder.get("b")


Kind = type[DriftReport] | type[PerformanceReport]


@pytest.fixture
def reported(three: Project) -> Project:
    """The three models, a report of each kind about each of them."""
    now, rows = three.now(), {"reference_rows": 1, "current_rows": 1}
    with three.write() as s:
        for champion in deployments.champions(s):
            for kind, own in ((DriftReport, rows), (PerformanceReport, {"rows": 1, "coverage": 1})):
                s.add(
                    kind(
                        model_id=champion.model_id, model_version_id=champion.model_version_id,
                        window_start=now, window_end=now, verdict="ok", summary="ok",
                        created_at=now, details={"verdict": "ok"}, **own,
                    )
                )  # fmt: skip
    return three


def _details(project: Project, kind: Kind, text: str) -> None:
    with project.database.engine.begin() as connection:
        query = f"UPDATE {kind.__tablename__} SET details = :text WHERE model_id = 1"  # noqa: S608  # a name of this program
        connection.execute(sa.text(query), {"text": text})


OTHER_SHAPES: list[tuple[Kind, str]] = [
    (DriftReport, '{"features": 3}'),
    (DriftReport, '{"features": [3]}'),
    (DriftReport, '{"features": [{}]}'),
    (DriftReport, '{"features": [{"name": 3}]}'),
    (DriftReport, '{"features": [{"name": "x", "column": []}]}'),
    (DriftReport, '{"features": [{"name": "x", "drifted": "no"}]}'),
    (DriftReport, '{"rows": 3}'),
    (DriftReport, '{"rows": {"current": "x"}}'),
    (DriftReport, '{"drifted": 3}'),
    (DriftReport, '{"reference": "training"}'),
    (DriftReport, '{"verdict": []}'),
    (PerformanceReport, '{"slices": 3}'),
    (PerformanceReport, '{"estimated": 3}'),
    (PerformanceReport, '{"estimated": {"trusted": []}}'),
    (PerformanceReport, '{"target": {}}'),
    (PerformanceReport, '{"diagnosis": 3}'),
    (PerformanceReport, '{"metric": []}'),
    (PerformanceReport, '{"rows": "x"}'),
]


def test_a_report_of_another_shape_is_an_error_of_that_model_alone(reported: Project) -> None:
    for kind, text in OTHER_SHAPES:
        _details(reported, kind, text)
        problems = [bool(one.problem) for one in status.read(reported).models]
        assert problems == [True, False, False], text
        found = gauges.read(reported)
        seen = found.drift if kind is DriftReport else found.performance
        assert list(seen) == ["b", "c"], text
        with pytest.raises(DamagedError, match="not as it was recorded"):
            report.read(reported, "a")
        _details(reported, kind, "{}")
    assert not any(one.problem for one in status.read(reported).models)


@pytest.mark.parametrize("kind", [DriftReport, PerformanceReport])
def test_a_report_without_some_numbers_is_read_without_them(reported: Project, kind: Kind) -> None:
    for text in (
        "{}",
        '{"value": 1e400, "limit": 1' + "0" * 400 + ', "coverage": "x"}',
        '{"value": 1e308, "limit": -1}',
        '{"alpha": 1, "features": [{"name": "x", "effect": 1e400, "drifted": false}]}',
        '{"alpha": 0.1, "features": [{"name": "x", "effect": 1e308, "threshold": 0.1,'
        ' "q_value": -1, "drifted": false}]}',
        '{"estimated": {"trusted": true, "least": "x"}}',
    ):
        _details(reported, kind, text)
        assert not any(one.problem for one in status.read(reported).models), text
        if kind is DriftReport:
            trend.drift(history.of_drift(reported, "a").points, ())
        else:
            trend.performance(history.of_performance(reported, "a"), ())
            with reported.read() as s:
                (told,) = reports.last_details(s, kind, 1)
            assert estimates.said(told) == "insufficient_data", text


def test_a_metric_that_is_not_finite_is_none(three: Project) -> None:
    _edit(three, "a", "metrics", '{"log_loss": 1e400, "accuracy": NaN}')
    _edit(three, "a", "intervals", '{"log_loss": [0, Infinity]}')
    (listed, *_) = models.summaries(three)
    assert (listed.metric, listed.value) == (None, None)
    (shown,) = models.show(three, "a").versions
    assert shown.metrics == {"log_loss": None, "accuracy": None}
    assert shown.intervals == {"log_loss": [0, None]}
