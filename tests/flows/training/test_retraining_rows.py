"""Which rows a retraining learns from, and that what was made once can be made again."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

from mlkit.errors import CheckFailedError, InvalidInputError
from mlkit.flows.data import ingest
from mlkit.flows.lineage import rebuild
from mlkit.flows.log import actuals, logs, retention
from mlkit.flows.training import retrain, train
from mlkit.project import Project
from mlkit.settings.table import DatasetSettings, Log, Performance, Retrain
from mlkit.store import datasets, registry
from mlkit.store.datasets import DatasetVersion
from mlkit.store.registry import ModelVersion

Frames = Callable[..., pd.DataFrame]
Answer = Callable[..., None]


def _with(project: Project, **changes: Any) -> Project:
    settings = msgspec.structs.replace(project.settings, **changes)
    return Project(project.root, settings, project.database, project.clock_file)


def _sourced(project: Project, **settings: Any) -> Project:
    return _with(
        project,
        datasets={"churn": DatasetSettings(source="churn.csv")},
        retrain=Retrain(**settings),
    )


def _version(project: Project, number: int) -> DatasetVersion:
    with project.read() as s:
        return datasets.get_version(s, "churn", number)


def _rows(project: Project, number: int) -> Any:
    return ingest.load_version(project, _version(project, number))


@pytest.fixture
def ripening(trained: Project, churn: Frames, answer: Answer) -> Project:
    """A log whose actuals take a day unless a customer leaves: of late only these are known."""
    answer(trained, churn(rows=300, seed=1), age=timedelta(days=10), step_s=2400)
    young = churn(rows=100, seed=2)
    answer(trained, young, age=timedelta(hours=1), step_s=30, known=0)
    ids = logs.read(trained, "churn")["_id"].to_pylist()[300:]
    came = [i for i, label in zip(ids, young["churned"], strict=True) if label == "yes"]
    actuals.add(trained, [actuals.ActualItem(identifier, "yes") for identifier in came])
    with trained.write() as s:
        for row, served in s.execute(_received()):
            row.received_at = served + timedelta(hours=20 if row.value == '"no"' else 1)
    return trained


def _received() -> Any:
    from sqlalchemy import select

    from mlkit.store.log_columns import Actual, Prediction

    return select(Actual, Prediction.served_at).join(
        Prediction, Prediction.id == Actual.prediction_id
    )


def test_rows_whose_actuals_are_still_coming_are_left_out_and_named(ripening: Project) -> None:
    done = retrain.retrain(ripening, "churn")
    made = _version(ripening, 2)
    unripe = made.transformation["left_out"]["unripe"]
    assert unripe >= 20
    assert (made.rows, unripe) == (300, len(_last_actuals(ripening)))
    (said,) = [text for text in done.warnings if text.startswith("unripe: ")]
    assert f"{unripe} rows with an actual" in said
    until = made.transformation["until"]
    assert max(_rows(ripening, 2)["since"].to_pylist()).isoformat() <= until


def _last_actuals(project: Project) -> list[Any]:
    start = project.now() - timedelta(hours=2)
    return logs.read(project, "churn", start=start, actuals="required").to_pylist()


def test_min_maturity_0_takes_what_there_is(ripening: Project) -> None:
    eager = _with(ripening, performance=Performance(min_maturity=0))
    assert retrain.retrain(eager, "churn").rows == 300 + len(_last_actuals(ripening))


def test_a_log_too_young_to_tell_the_delay_says_so(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, churn(rows=200, seed=1), age=timedelta(hours=2), known=0.5)
    done = retrain.retrain(trained, "churn")
    assert done.rows == 100
    assert any(text.startswith("label_delay_unknown: ") for text in done.warnings)


def test_both_takes_the_source_and_the_log_and_no_row_twice(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, churn(rows=100, seed=1))
    logged = logs.read(trained, "churn", actuals="required")
    frame = churn(rows=500, seed=4)
    twice = frame.iloc[[0]].assign(
        since=logged["_served_at"][0].as_py().isoformat(),
        **{name: logged[name][0].as_py() for name in ("age", "plan", "spend", "active")},
        churned=logged["_actual"][0].as_py(),
    )
    pd.concat([frame, twice, frame.iloc[[7]]]).to_csv(trained.root / "churn.csv", index=False)
    both = _sourced(trained, data="both")
    done = retrain.retrain(both, "churn")
    assert (done.dataset, done.rows) == ("churn@3", 501 + 100 - 1)
    made = _version(trained, 3)
    assert made.parents == ["churn@2"]
    assert made.transformation["base"] == "churn@2"
    assert made.transformation["left_out"]["duplicates"] == 2
    assert "duplicates: 2 rows repeat an earlier one and are left out" in done.warnings
    again = retrain.retrain(both, "churn")
    assert again.version is None
    assert "not learned from" in again.summary


def test_a_window_of_the_source_is_a_version_of_its_own(trained: Project, churn: Frames) -> None:
    frame = churn(rows=400, seed=4)
    start = trained.now() - timedelta(hours=400)
    times = [(start + timedelta(hours=n)).isoformat() for n in range(400)]
    frame.assign(since=times).to_csv(trained.root / "churn.csv", index=False)
    done = retrain.retrain(_sourced(trained, data="source", source_window="5d"), "churn")
    assert (done.dataset, done.rows) == ("churn@3", 119)
    made = _version(trained, 3)
    assert made.transformation["kind"] == "window"
    assert made.transformation["base"] == "churn@2"
    assert rebuild.rebuild(trained, "churn@3").same


def test_a_row_that_is_logged_twice_is_learned_from_once(
    trained: Project, churn: Frames, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(trained, churn(rows=100, seed=1))
    read = logs.read

    def repeated(*args: Any, **options: Any) -> Any:
        import pyarrow as pa

        table = read(*args, **options)
        return pa.concat_tables([table, table.slice(0, 5)])

    monkeypatch.setattr(logs, "read", repeated)
    done = retrain.retrain(trained, "churn")
    assert done.rows == 100
    assert _version(trained, 2).transformation["left_out"]["duplicates"] == 5


def test_rows_without_time_and_entity_may_be_alike(
    training: Callable[..., Path], tmp_path: Path, churn: Frames, answer: Answer,
    copied: Any,
) -> None:  # fmt: skip
    (tmp_path / "new").mkdir()
    root = training(tmp_path / "new", by=None)
    with copied(root, tmp_path / "copy") as project:
        answer(project, pd.concat([churn(rows=60, seed=1)] * 2))
        assert retrain.retrain(project, "churn").rows == 120


def test_a_version_from_the_log_is_made_again_whatever_came_since(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, churn(rows=200, seed=1), age=timedelta(days=2), known=0.8)
    retrain.retrain(trained, "churn")
    before = _version(trained, 2)
    late = [row for row in logs.read(trained, "churn").to_pylist() if row["_actual"] is None]
    actuals.add(trained, [actuals.ActualItem(row["_id"], "yes") for row in late])
    answer(trained, churn(rows=50, seed=2), age=timedelta(days=1))
    with trained.write() as s:
        model = registry.get_model(s, "churn")
        from mlkit.store import predictions
        from mlkit.store.log_columns import Actual

        row = predictions.newest(s, model.id, 200)[-1]
        actual = s.get_one(Actual, row.id)
        actual.value = '"no"' if actual.value == '"yes"' else '"yes"'  # somebody corrects it
        assert row.id
    retention.seal(trained, older_than="1h")
    done = rebuild.rebuild(trained, "churn@2")
    assert (done.same, done.sha256, done.rows, done.kind) == (True, before.sha256, 160, "log")
    assert not done.restored


def test_what_the_log_has_no_more_cannot_be_made_again(
    trained: Project, churn: Frames, answer: Answer, tmp_path: Path
) -> None:
    answer(trained, churn(rows=80, seed=1), age=timedelta(days=3))
    retrain.retrain(trained, "churn")
    brief = _with(trained, log=Log(keep="1d", seal_after="1d"))
    retention.prune(brief)
    with pytest.raises(CheckFailedError, match="80 of 80 predictions are in the log of churn no"):
        rebuild.rebuild(trained, "churn@2")


@pytest.fixture
def own_source(trained: Project) -> Path:
    """The source of churn@1, in the project of the test alone."""
    with trained.write() as s:
        datasets.get_version(s, "churn", 1).source = str(trained.root / "churn.csv")
    return trained.root / "churn.csv"


def test_a_file_that_is_still_the_same_gives_the_same_bytes(trained: Project) -> None:
    done = rebuild.rebuild(trained, "churn@1")
    assert (done.same, done.kind, done.rows) == (True, "file", 400)


def test_a_version_of_an_older_release_says_what_is_not_known(trained: Project) -> None:
    with trained.write() as s:
        old = datasets.get_version(s, "churn", 1)
        old.transformation = {"kind": "log", "model": "churn", "start": "2026", "end": "2026"}
    with pytest.raises(CheckFailedError, match="did not record which predictions"):
        rebuild.rebuild(trained, "churn@1")
    with trained.write() as s:
        old = datasets.get_version(s, "churn", 1)
        old.transformation, old.source_sha256 = {}, None
    with pytest.raises(CheckFailedError, match="of the kind 'unknown'"):
        rebuild.rebuild(trained, "churn@1")


def test_a_lost_file_is_put_back(trained: Project) -> None:
    version = _version(trained, 1)
    trained.data.path(version.sha256).unlink()
    assert rebuild.rebuild(trained, "churn@1").restored
    assert _rows(trained, 1).num_rows == 400


def test_a_source_that_changed_or_went_cannot_be_proved(trained: Project, own_source: Path) -> None:
    source = own_source
    source.write_text(source.read_text() + "2026-02-01T00:00:00Z,30,free,1.0,True,no\n")
    with pytest.raises(CheckFailedError, match="has changed") as refused:
        rebuild.rebuild(trained, "churn@1")
    assert refused.value.details["same"] is False
    source.unlink()
    with pytest.raises(CheckFailedError, match="is gone"):
        rebuild.rebuild(trained, "churn@1")


def test_other_bytes_name_the_first_column_that_differs(trained: Project, own_source: Path) -> None:
    source = own_source
    lines = source.read_text().splitlines()
    lines[1] = lines[1].replace(lines[1].split(",")[1], "77", 1)
    source.write_text("\n".join(lines) + "\n")
    from mlkit.store.disk import blobs

    with trained.write() as s:
        found = datasets.get_version(s, "churn", 1)
        found.source_sha256 = blobs.file_digest(source)
    with pytest.raises(CheckFailedError, match="the values of 'age' differ"):
        rebuild.rebuild(trained, "churn@1")


def test_a_half_life_weighs_new_rows_more_and_stands_in_the_recipe(
    trained: Project, churn: Frames
) -> None:
    plain = train.train(trained, "churn", "churn", estimator="linear")
    done = train.train(trained, "churn", "churn", estimator="linear", half_life="2d")
    assert done.metrics != plain.metrics
    with trained.read() as s:
        model = registry.get_model(s, "churn")
        recipes = [v.recipe.get("half_life", "off") for v in registry.versions(s, model)]
    assert recipes == ["off", "off", "2d"]


def test_a_retraining_weighs_as_the_settings_say(
    trained: Project, churn: Frames, answer: Answer
) -> None:
    answer(trained, churn(rows=200, seed=2))
    weighed = _with(trained, retrain=Retrain(half_life="30d"))
    done = retrain.retrain(weighed, "churn")
    with trained.read() as s:
        row = registry.get_version(s, registry.get_model(s, "churn"), int(done.version or 0))
        assert row.recipe["half_life"] == "30d"


@pytest.mark.parametrize("estimator", ["dummy", "linear", "boosting", "forest", "auto"])
def test_every_estimator_takes_weights(trained: Project, estimator: str) -> None:
    assert train.train(trained, "churn", "churn", estimator=estimator, half_life="3d").version == 2


def test_weights_need_a_time(training: Callable[..., Path], tmp_path: Path, copied: Any) -> None:
    (tmp_path / "new").mkdir()
    with (
        copied(training(tmp_path / "new", by=None), tmp_path / "copy") as project,
        pytest.raises(InvalidInputError, match="need a column of times"),
    ):
        train.train(project, "churn", "churn", half_life="3d")


def test_an_estimator_without_weights_says_so(trained: Project) -> None:
    (trained.root / "mine.py").write_text(
        "from sklearn.neighbors import KNeighborsClassifier as make\n"
    )
    with pytest.raises(InvalidInputError, match="takes no weights of rows"):
        train.train(trained, "churn", "churn", estimator="mine:make", half_life="3d")


def test_weights_halve_with_each_half_life() -> None:
    from mlkit.steps.training import recency

    day = 86_400e6
    found = recency.weights(np.array([-np.inf, 0, 30, 60]) * day, 30 * 86_400)
    assert found[[0, 1]].tolist() == pytest.approx([found[3] / 4] * 2)
    assert found.mean() == pytest.approx(1)


@pytest.fixture
def with_id(project: Project, churn: Frames) -> Project:
    frame = churn(rows=300)
    frame.insert(0, "offer_id", range(1, 301))
    frame.to_csv(project.root / "churn.csv", index=False)
    ingest.add(project, "churn", project.root / "churn.csv", target="churned", time="since")
    train.train(project, "churn", "churn", estimator="linear", ignore=["offer_id"], promote=True)
    return project


def _latest(project: Project) -> ModelVersion:
    with project.read() as s:
        return registry.versions(s, registry.get_model(s, "churn"))[-1]


def test_a_column_to_ignore_is_no_input_and_stands_in_the_recipe(with_id: Project) -> None:
    made = _latest(with_id)
    assert "offer_id" not in {column["name"] for column in made.input_schema["columns"]}
    assert made.recipe["ignore"] == ["offer_id"]
    assert not any("offer_id" in warning for warning in made.warnings)


@pytest.mark.parametrize("data", ["log", "both"])
def test_a_retraining_ignores_what_the_champion_does_though_no_log_has_it(
    with_id: Project, churn: Frames, answer: Answer, data: Any
) -> None:
    rules = with_id.schemas_dir / "churn.yaml"
    rules.write_text(rules.read_text() + 'keys: [[offer_id]]\nchecks: ["offer_id > 0"]\n')
    answer(with_id, churn(rows=200, seed=2))
    done = retrain.retrain(_sourced(with_id), "churn", data=data)
    assert done.new
    assert _latest(with_id).recipe["ignore"] == ["offer_id"]
    assert rebuild.rebuild(_sourced(with_id), done.dataset).same
    churn(rows=300, seed=3).to_csv(with_id.root / "churn.csv", index=False)
    with pytest.raises(CheckFailedError, match="offer_id"):
        ingest.add(with_id, "churn", with_id.root / "churn.csv")


@pytest.mark.parametrize(
    ("column", "says"),
    [("ofer_id", "has no column 'ofer_id' to ignore; did you mean 'offer_id'"),
     ("churned", "'churned' is the target")],
)  # fmt: skip
def test_a_column_that_cannot_be_ignored_is_named(with_id: Project, column: str, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        train.train(with_id, "churn", "churn", ignore=[column])
