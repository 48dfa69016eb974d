"""Retraining: new rows or none, better or not, and always a reason."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest

from mlkit.errors import BusyError, CheckFailedError, ConflictError, InvalidInputError
from mlkit.flows.alerts import alerting
from mlkit.flows.data import ingest
from mlkit.flows.log import logs
from mlkit.flows.registry import deploy, models
from mlkit.flows.training import retrain, retraining_rows
from mlkit.project import Project
from mlkit.settings.table import DatasetSettings, ModelSettings, Retrain
from mlkit.steps.reading import frames
from mlkit.store import datasets
from mlkit.store.disk import failpoints

Frames = Callable[..., pd.DataFrame]
Answer = Callable[..., None]


def _flip(frame: pd.DataFrame) -> pd.DataFrame:
    """A world in which every customer does the opposite: what was learned is now wrong."""
    turned = frame["churned"].map({"yes": "no", "no": "yes"})
    return frame.assign(churned=turned)


def _with(project: Project, **changes: Any) -> Project:
    settings = msgspec.structs.replace(project.settings, **changes)
    return Project(project.root, settings, project.database, project.clock_file)


def _versions(project: Project) -> int:
    return len(models.show(project, "churn").versions)


def test_a_changed_world_in_the_log_promotes_a_better_version(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, _flip(churn(rows=400, seed=1)))
    said: list[str] = []
    done = retrain.retrain(trained, "churn", reason="the world turned", progress=said.append)
    assert (done.version, done.promoted, done.new) == (2, True, True)
    assert done.verdict["accepted"]
    assert (done.dataset, done.rows, done.estimator) == ("churn@2", 400, "linear")
    assert done.summary.startswith("promoted v2: ")
    assert said[0] == "reading the log"
    last = deploy.history(trained, "churn")[0]
    assert (last.version, last.reason) == (2, "the world turned")


def test_the_dataset_version_from_the_log_says_where_it_comes_from(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    frame = churn(rows=60, seed=1)
    answer(trained, frame)
    retrain.retrain(trained, "churn")
    with trained.read() as s:
        made = datasets.get_version(s, "churn", 2)
        first = datasets.get_version(s, "churn", 1)
    assert made.source.startswith("log of churn, ")
    assert made.parents == ["churn@1"]
    rows = ingest.load_table(trained, made.sha256)
    assert rows.schema.equals(ingest.load_table(trained, first.sha256).schema)
    assert rows["churned"].to_pylist() == frame["churned"].tolist()
    moments = rows["since"].to_pylist()
    assert moments == sorted(moments)
    assert moments[0] > trained.now() - timedelta(hours=12, minutes=1)


def test_a_row_without_an_entity_is_an_entity_of_its_own(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    frame = churn(rows=100).assign(customer=[f"c{n}" for n in range(100)])
    file = trained.root / "customers.csv"
    frame.to_csv(file, index=False)
    with trained.write() as s:
        datasets.get(s, "churn").entity_column = "customer"
        dataset = datasets.get(s, "churn")
    answer(trained, frame)
    logged = logs.read(trained, "churn", actuals="required")
    like = frames.read_table(file).schema
    made = retraining_rows.as_dataset(logged, dataset, like)
    assert made["customer"].to_pylist() == logged["_id"].to_pylist()


def test_more_of_the_same_keeps_the_champion_and_says_why(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, churn(rows=200, seed=2))
    done = retrain.retrain(trained, "churn")
    assert (done.version, done.promoted) == (2, False)
    assert done.summary.startswith("kept v1: log_loss")
    assert deploy.find_version(trained, "churn").number == 1
    with pytest.raises(CheckFailedError, match="kept v1"):
        retrain.require_accepted(done)


def test_without_new_rows_nothing_is_trained(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    none = retrain.retrain(trained, "churn")
    assert (none.version, none.new, none.promoted) == (None, False, False)
    assert none.summary == (
        "kept v1: the log of the last 90d has 0 rows with an actual, 50 are needed"
    )
    retrain.require_accepted(none)
    answer(trained, churn(rows=100, seed=3))
    assert retrain.retrain(trained, "churn").version == 2
    again = retrain.retrain(trained, "churn")
    assert again.version is None
    assert "not learned from" in again.summary
    assert _versions(trained) == 2


def test_rows_that_only_grew_old_are_nothing_new(
    trained: Project, churn: Frames, answer: Answer, tmp_path: Path
) -> None:
    answer(trained, churn(rows=100, seed=3), age=timedelta(days=1))
    assert retrain.retrain(trained, "churn").version == 2
    clock = tmp_path / "clock"
    later = trained.now() - timedelta(days=1) + timedelta(days=90, seconds=295)
    clock.write_text(later.isoformat())
    aged = Project(trained.root, trained.settings, trained.database, clock)
    done = retrain.retrain(aged, "churn")
    assert (done.version, done.rows) == (None, 70)


def test_a_retraining_that_was_killed_is_made_up_for(
    trained: Project, churn: Frames, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(trained, churn(rows=100, seed=3))

    def killed(name: str) -> None:
        if name == "train.artifact":
            raise KeyboardInterrupt

    monkeypatch.setattr(failpoints, "reach", killed)
    with pytest.raises(KeyboardInterrupt):
        retrain.retrain(trained, "churn")
    monkeypatch.undo()
    assert _versions(trained) == 1
    done = retrain.retrain(trained, "churn")
    assert (done.version, done.dataset) == (2, "churn@2")


def test_the_source_is_read_again_and_an_unchanged_one_says_so(
    trained: Project, churn: Frames
) -> None:
    sourced = _with(
        trained,
        datasets={"churn": DatasetSettings(source="churn.csv")},
        models={"churn": ModelSettings(retrain_data="source")},
    )
    unchanged = retrain.retrain(sourced, "churn")
    assert (unchanged.version, unchanged.rows) == (None, 400)
    assert "has not changed since churn@1" in unchanged.summary
    _flip(churn(rows=500, seed=4)).to_csv(trained.root / "churn.csv", index=False)
    done = retrain.retrain(sourced, "churn")
    assert (done.version, done.dataset, done.rows) == (2, "churn@2", 500)
    assert done.promoted


def test_a_version_that_is_accepted_is_not_promoted_if_the_settings_say_so(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, _flip(churn(rows=400, seed=1)))
    careful = _with(trained, retrain=Retrain(promote=False))
    done = retrain.retrain(careful, "churn")
    assert (done.verdict["accepted"], done.promoted) == (True, False)
    assert done.summary.startswith("kept v1: v2 was accepted, but not promoted")


def test_what_cannot_be_retrained_says_what_to_do(trained: Project, churn: Frames) -> None:
    with pytest.raises(InvalidInputError, match=r'\[datasets."churn"\]\nsource = "FILE"\n'):
        retrain.retrain(trained, "churn", data="source")
    ingest.add(trained, "other", trained.root / "churn.csv", target="churned")
    from mlkit.flows.training import train  # slow to import, and the fixture has done so

    train.train(trained, "other", "other", estimator="dummy")
    with pytest.raises(ConflictError, match="no champion whose recipe"):
        retrain.retrain(trained, "other")


def test_rows_that_break_the_rules_are_refused_without_a_trace(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    rules = trained.schemas_dir / "churn.yaml"
    frame = churn(rows=80, seed=5)
    answer(trained, frame.assign(plan="enterprise"))
    with pytest.raises(CheckFailedError, match="plan"):
        retrain.retrain(trained, "churn")
    assert rules.is_file()
    with trained.read() as s:
        assert datasets.get_version(s, "churn").number == 1
    assert _versions(trained) == 1


def test_one_model_is_retrained_by_one_at_a_time(trained: Project) -> None:
    with (
        trained.lock("retrain-churn", busy="the test holds it"),
        pytest.raises(BusyError, match="being retrained already"),
    ):
        retrain.retrain(trained, "churn")


def _alert(project: Project, kind: str) -> None:
    alerting.raise_alert(
        project, key=f"{kind}:churn", kind=kind, severity="warning", model="churn",
        summary=f"{kind} was seen", details={},
    )  # fmt: skip


def test_an_open_alert_about_the_model_makes_it_due(trained: Project) -> None:
    assert retrain.due(trained, "churn") is None
    _alert(trained, "serving")
    assert retrain.due(trained, "churn") is None
    _alert(trained, "drift")
    _alert(trained, "performance")
    assert retrain.due(trained, "churn") == "drift was seen; performance was seen"
    never = _with(trained, retrain=Retrain(on="never"))
    assert retrain.due(never, "churn") is None


def test_the_setting_of_a_model_wins_over_the_setting_of_all(trained: Project) -> None:
    always = _with(trained, models={"churn": ModelSettings(retrain_on="always")})
    assert retrain.due(always, "churn") == "retrain.on is always"
    assert retrain.retrain_if_due(trained, "churn") == "not due"
    assert retrain.retrain_if_due(always, "churn").startswith("kept v1: the log of the last 90d")


def test_a_promotion_ends_the_alerts_that_asked_for_it(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    _alert(trained, "drift")
    answer(trained, _flip(churn(rows=400, seed=1)))
    assert retrain.retrain_if_due(trained, "churn").startswith("promoted v2")
    assert alerting.ongoing(trained) == []
    assert deploy.history(trained, "churn")[0].reason == "drift was seen"


def test_a_label_that_nobody_knows_is_left_out_and_named_and_breaks_no_retraining(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    frame = _flip(churn(rows=400, seed=1))
    frame.loc[[3, 5], "churned"] = "yess"
    frame.loc[7, "churned"] = "maybe"
    answer(trained, frame)
    done = retrain.retrain(trained, "churn")
    assert (done.version, done.rows, done.promoted) == (2, 397, True)
    (warning,) = [text for text in done.warnings if text.startswith("unknown_labels: ")]
    assert "3 actuals have a label that the model does not know ('yess' 2, 'maybe' 1)" in warning
    assert "add rows with it (mlkit data add churn)" in warning
    logged = logs.read(trained, "churn", actuals="required")["_actual"].to_pylist()
    assert logged.count("yess") == 2


def test_too_few_rows_after_leaving_labels_out_are_too_few(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, churn(rows=60, seed=1).assign(churned=["no"] * 40 + ["yess"] * 20))
    done = retrain.retrain(trained, "churn")
    assert (done.version, done.rows) == (None, 40)
    assert any("'yess' 20" in text for text in done.warnings)
