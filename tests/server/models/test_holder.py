"""What is kept loaded, what is loaded when it is asked for, and what never takes over."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from sqlalchemy import text

from mlkit.errors import BusyError, NotFoundError
from mlkit.flows.data import ingest
from mlkit.flows.registry import deploy
from mlkit.flows.training import train
from mlkit.project import Project
from mlkit.server.models.holder import Holder
from mlkit.store import alerts


def _with(project: Project, **server: Any) -> Project:
    settings = project.settings
    changed = msgspec.structs.replace(settings.server, **server)
    return replace(project, settings=msgspec.structs.replace(settings, server=changed))


@pytest.fixture
def three(project: Project, register: Callable[..., Any]) -> Project:
    """Three models with a champion each."""
    for name in ("churn", "spam", "spend"):
        register(project, name)
    return project


def test_all_models_are_loaded_at_the_start(three: Project) -> None:
    holder = Holder(three)
    holder.refresh()
    assert sorted(holder.serving) == ["churn", "spam", "spend"]
    assert holder.get("spam").loaded.version == 1
    with pytest.raises(NotFoundError, match="known: churn, spam, spend"):
        holder.get("ham")


def test_a_lazy_server_loads_what_is_asked_for(three: Project) -> None:
    holder = Holder(_with(three, lazy=True))
    holder.refresh()
    assert sorted(holder.champions) == ["churn", "spam", "spend"]
    assert list(holder.serving) == []
    assert holder.knows("spam")
    assert holder.get("spam").loaded.model == "spam"
    assert list(holder.serving) == ["spam"]
    with pytest.raises(NotFoundError):
        holder.get("ham")


def test_a_lazy_server_follows_promotions_of_what_it_has_loaded(
    three: Project, register: Callable[..., Any]
) -> None:
    holder = Holder(_with(three, lazy=True))
    holder.refresh()
    holder.get("spam")
    register(three, "spam", seed=1, promote=False)
    register(three, "churn", seed=1, promote=False)
    deploy.promote(three, "spam", 2, force=True)
    deploy.promote(three, "churn", 2, force=True)
    holder.refresh()
    assert {name: held.loaded.version for name, held in holder.serving.items()} == {"spam": 2}
    assert holder.get("churn").loaded.version == 2


def test_beyond_the_budget_what_was_used_longest_ago_is_unloaded(three: Project) -> None:
    digests = [version.artifact_sha256 for version in deploy.champions(three)]
    sizes = [three.artifacts.path(digest).stat().st_size for digest in digests]
    holder = Holder(_with(three, memory_mb=1))
    holder._budget_bytes = sum(sizes) - 1  # the models of tests are smaller than a megabyte
    holder.refresh()
    for name in ("churn", "spam", "churn", "spend"):
        assert holder.get(name).loaded.model == name
        time.sleep(0.001)
    assert sorted(holder.serving) == ["churn", "spend"]
    assert holder.get("spam").loaded.model == "spam"
    assert "churn" not in holder.serving


def test_a_version_that_takes_too_long_to_load_does_not_take_over(
    three: Project, register: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = _with(three, load_s=0.2)
    holder = Holder(slow)
    holder.refresh()
    register(three, "churn", seed=1, promote=False)
    deploy.promote(three, "churn", 2, force=True)
    real = deploy.load_version

    def wait_then_load(project: Project, version: Any) -> Any:
        time.sleep(1.0)
        return real(project, version)

    monkeypatch.setattr(deploy, "load_version", wait_then_load)
    holder.refresh()
    assert holder.get("churn").loaded.version == 1
    assert "takes longer than 0.2 s (server.load_s)" in holder.problems["churn"]
    with three.read() as s:
        (alert,) = alerts.ongoing(s, model="churn", kinds=("serving",))
    assert "v1 goes on answering" in alert.summary
    time.sleep(1.0)
    holder._retry_at = 0.0
    holder.refresh()  # it has been loaded meanwhile, once
    assert holder.get("churn").loaded.version == 2
    assert holder.problems == {}


def test_a_model_without_any_version_that_loads_is_not_ready(three: Project) -> None:
    (version,) = [v for v in deploy.champions(three) if v.model.name == "spam"]
    path = three.artifacts.path(version.artifact_sha256)
    path.chmod(0o600)
    path.write_bytes(b"x" * 100)
    for project in (three, _with(three, lazy=True)):
        holder = Holder(project)
        holder.refresh()
        with pytest.raises(BusyError, match="'spam' is not ready: v1"):
            holder.get("spam")
        assert not holder.knows("spam")


def test_without_a_name_the_only_model_or_the_chosen_one_answers(
    project: Project, register: Callable[..., Any]
) -> None:
    holder = Holder(project)
    holder.refresh()
    assert holder.default() is None
    assert "none yet" in str(holder.unnamed())
    register(project, "churn")
    holder.refresh()
    assert holder.default() == "churn"
    register(project, "spam")
    holder.refresh()
    assert holder.default() is None
    assert "known: churn, spam" in str(holder.unnamed())
    assert Holder(_with(project, default_model="spam")).default() == "spam"


OWN = """
from sklearn.base import BaseEstimator, RegressorMixin

CAP = 36.0

class Capped(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        return (X[:, 0] * 0 + CAP)

def build(schema):
    return Capped()
"""


def test_promotion_and_rollback_answer_with_the_code_of_each_version(project: Project) -> None:
    lines = [f"{place / 7:.3f},{place}" for place in range(60)]
    (project.root / "rows.csv").write_text("\n".join(["x,y", *lines]))
    ingest.add(project, "rows", project.root / "rows.csv", target="y")
    holder = Holder(project)

    def served() -> list[Any]:
        holder.refresh()
        return list(holder.get("m").ask(np.array([[1.0]])).values)

    for cap in ("36.0", "12.0"):
        (project.root / "own_caps.py").write_text(OWN.replace("36.0", cap))
        done = train.train(project, "m", "rows", estimator="own_caps:build")
        deploy.promote(project, "m", done.version, force=True)
        assert served() == [float(cap)]
    held = holder.get("m")
    deploy.rollback(project, "m")
    assert served() == [36.0]
    assert held.ask(np.array([[1.0]])).values == [12.0]


def test_a_promotion_that_is_not_in_the_audit_trail_is_not_followed(
    three: Project, register: Callable[..., Any]
) -> None:
    holder = Holder(three)
    holder.refresh()
    register(three, "spam", seed=1, promote=False)
    with three.database.write() as s:  # as a stranger with the file does
        s.execute(text("UPDATE deployment SET ended_at = started_at WHERE model_id = 2"))
        s.execute(
            text(
                "INSERT INTO deployment (model_id, model_version_id, role, share, started_at, "
                "action, actor, reason, evidence) SELECT 2, id, 'champion', 1.0, created_at, "
                "'promote', 'me', 'sure', '{}' FROM model_version WHERE model_id = 2 AND number = 2"
            )
        )
    holder.refresh()
    assert holder.get("spam").loaded.version == 1
    assert "not in the audit trail" in holder.problems["spam"]
    fresh = Holder(three)
    fresh.refresh()
    with pytest.raises(BusyError, match="not in the audit trail"):
        fresh.get("spam")
    assert fresh.get("churn").loaded.version == 1
