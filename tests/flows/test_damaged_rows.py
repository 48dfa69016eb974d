"""A version whose row was edited is told of, and keeps no other from its turn."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from mlkit.errors import DamagedError, MlkitError
from mlkit.flows import champions, deploy, models, status
from mlkit.project import Project
from mlkit.server.holder import Holder

EDITS = [
    ("metrics", '{"log_loss": "0.3"}'),
    ("metrics", '"good"'),
    ("metrics", "good"),
    ("metrics", '{"log_loss": 1' + "0" * 400 + "}"),
    ("intervals", '{"log_loss": "x"}'),
    ("intervals", '{"log_loss": [1]}'),
    ("verdict", "{}"),
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
