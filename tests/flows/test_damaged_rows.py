"""A version whose row was edited is told of, and keeps no other from its turn."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from mlkit.errors import DamagedError, MlkitError
from mlkit.flows import champions, deploy, gauges, models, status
from mlkit.project import Project
from mlkit.server.holder import Holder
from mlkit.store import registry
from mlkit.store.reports import PerformanceReport

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
    ("holdout_rows", "many"),
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
    assert [(one.champion, bool(one.problem)) for one in status.look(three).models] == [
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
    assert [one.champion for one in status.look(three).models] == [None, 1, 1]


@pytest.mark.parametrize("text", ["[]", "good", '"good"'])
def test_an_edited_report_keeps_the_other_models_on_the_screen(three: Project, text: str) -> None:
    now = three.now()
    with three.write() as s:
        for champion in registry.champions(s):
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
    lines = status.look(three).models
    assert [bool(one.problem) for one in lines] == [True, False, False]
    assert {name: each.value for name, each in gauges.read(three).performance.items()} == {
        "b": None, "c": None,
    }  # fmt: skip


def test_jobs_reach_the_models_beside_an_edited_one(three: Project) -> None:
    _edit(three, "b", "metrics", "good")
    with pytest.raises(MlkitError, match=r"^a: v1; b failed: .*no JSON.*; c: v1$"):
        champions.each(three, lambda model: f"v{deploy.find_version(three, model).number}")


def test_a_server_serves_the_models_beside_an_edited_one(three: Project) -> None:
    _edit(three, "b", "metrics", "good")
    holder = Holder(three)
    holder.refresh()
    assert set(holder.serving) == {"a", "c"}
    assert "no JSON" in holder.problems["b"]
    with pytest.raises(MlkitError, match=r"model 'b' is not ready: .*no JSON"):
        holder.get("b")
