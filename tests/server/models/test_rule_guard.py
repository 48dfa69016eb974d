"""The rules of the training data before a model: what breaks them is counted, or refused."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlkit.server.models import rule_guard
from mlkit.steps.inputs.columns import Column, InputSchema

ROW = {"age": 30, "plan": "free", "spend": 12.5, "active": False}
ODD = [ROW, {**ROW, "age": 900, "plan": "gold"}, {**ROW, "plan": "lead"}]


@pytest.fixture
def guarded(trained_root: Path, tmp_path: Path, serve: Callable[..., Any]) -> Callable[[str], Any]:
    """Serve churn with that setting of the guard."""

    def start(guard: str) -> Any:
        shutil.copytree(trained_root, tmp_path / "project")
        (tmp_path / "project" / "mlkit.toml").write_text(f'[server]\nguard = "{guard}"\n')
        return serve(tmp_path / "project", "--workers", "1")

    return start


def _counted(server: Any) -> dict[str, str]:
    text = server.ask("GET", "/metrics").body
    text = text.decode() if isinstance(text, bytes) else text
    lines = [line for line in text.splitlines() if line.startswith("mlkit_rule_violations_total{")]
    return {line.split('columns="')[1].split('"')[0]: line.split()[-1] for line in lines}


def test_by_default_rows_that_break_rules_are_answered_and_counted(guarded: Any) -> None:
    server = guarded("count")
    reply = server.predict(*ODD)
    assert reply.status == 200
    assert len(reply.body["predictions"]) == 3
    assert _counted(server) == {"age": "1.0", "plan": "2.0"}


def test_a_guard_that_refuses_names_every_row_and_column(guarded: Any) -> None:
    server = guarded("refuse")
    assert server.predict(ROW).status == 200
    reply = server.predict(*ODD)
    assert reply.status == 422
    assert [(p["row"], p["column"]) for p in reply.body["problems"]] == [
        (1, "age"), (1, "plan"), (2, "plan"),
    ]  # fmt: skip
    assert reply.body["problems"][0]["problem"].startswith("breaks in_range(")
    assert _counted(server) == {"age": "1.0", "plan": "2.0"}


def test_without_a_guard_nothing_is_counted(guarded: Any) -> None:
    server = guarded("off")
    assert server.predict(*ODD).status == 200
    assert not _counted(server)


def test_rules_that_cannot_be_read_any_more_keep_no_model_from_answering() -> None:
    inputs = InputSchema(columns=(Column(name="a", kind="number"),), target="y", task="regression")
    loaded: Any = SimpleNamespace(
        model="m", version=3, schema=inputs, rules="columns: {a: {no: 1}}"
    )
    assert rule_guard.make(loaded) is None
