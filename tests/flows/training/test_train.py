import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlkit.errors import ConflictError, InvalidInputError, NotFoundError
from mlkit.flows.data import ingest
from mlkit.flows.registry import deploy, models
from mlkit.flows.training import train
from mlkit.project import Project, open_project
from mlkit.steps.predictors import threads
from mlkit.store import audit, deployments, registry

RANDOM_KILLS = 3

Churn = Callable[..., pd.DataFrame]


def add(project: Project, frame: Any, name: str = "data", target: Any = "y", **roles: Any) -> Any:
    file = project.root / f"{name}.csv"
    frame.to_csv(file, index=False)
    return ingest.add(project, name, file, target=target, **roles)


def make_numbers(rows: Any = 300, seed: int = 0, slope: Any = 3.0) -> Any:
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, rows))
    return pd.DataFrame({"x": x, "z": z, "y": slope * x - z + rng.normal(size=rows) * 0.5})


def test_a_trained_version_records_everything_needed_to_trust_it(trained: Project) -> None:
    found = deploy.find_version(trained, "churn", 1)
    assert found.estimator == "linear"
    assert found.recipe == {
        "estimator": "linear",
        "tune": 0,
        "task": "classification",
        "dataset": "churn",
    }
    assert found.dataset_version.reference == "churn@1"
    assert (
        set(found.metrics) == set(found.intervals) == {"log_loss", "accuracy", "roc_auc", "brier"}
    )
    assert found.holdout_rows == 80
    assert found.packages["scikit-learn"]
    assert found.python.startswith("3.")
    assert found.verdict["accepted"]
    assert len(found.golden["values"]) == 20
    assert trained.artifacts.read(found.artifact_sha256)
    assert trained.references.read(found.reference_sha256)


def test_the_time_column_orders_the_rows_and_is_no_input(trained: Project) -> None:
    schema = deploy.input_schema(deploy.find_version(trained, "churn"))
    assert schema.names == ("age", "plan", "spend", "active")
    assert schema.classes == ("no", "yes")


def test_the_same_training_again_gives_the_same_artifact(trained: Project) -> None:
    again = train.train(trained, "churn", "churn", estimator="linear")
    first, second = (deploy.find_version(trained, "churn", number) for number in (1, 2))
    assert first.artifact_sha256 == second.artifact_sha256
    assert first.signature != second.signature
    assert again.metrics == first.metrics


def test_a_candidate_that_is_not_better_is_kept_out_but_on_record(trained: Project) -> None:
    done = train.train(trained, "churn", "churn", estimator="linear", promote=True)
    assert not done.promoted
    assert done.verdict.reason.startswith("kept v1: log_loss")
    assert models.show(trained, "churn").champion == 1
    assert models.show(trained, "churn").versions[0].parent == 1


def test_a_better_candidate_is_promoted_with_its_evidence(project: Project) -> None:
    add(project, make_numbers())
    poor = train.train(project, "m", "data", estimator="dummy", promote=True)
    assert poor.promoted
    done = train.train(project, "m", "data", promote=True, reason="weekly")
    assert done.promoted
    assert done.verdict.reason.startswith("beats v1: mae")
    newest, first = deploy.history(project, "m")
    assert (newest.version, newest.reason, newest.ended_at) == (2, "weekly", None)
    assert newest.evidence["verdict"]["comparison"]["high"] < 0
    assert first.ended_at == newest.started_at
    with project.read() as s:
        assert audit.first_break(s) is None


def test_the_ladder_is_told(project: Project) -> None:
    add(project, make_numbers())
    done = train.train(project, "m", "data")
    assert done.estimator in ("linear", "tuned linear")
    assert [rung["name"] for rung in done.ladder] == ["dummy", "linear", "tuned linear", "boosting"]
    assert any(check.name == "ladder" for check in done.verdict.checks)


def test_the_dummy_wins_where_there_is_nothing_to_learn_and_says_so(project: Project) -> None:
    rng = np.random.default_rng(2)
    add(project, pd.DataFrame({"x": rng.normal(size=300), "y": rng.normal(size=300)}))
    done = train.train(project, "m", "data", promote=True)
    assert (done.estimator, done.promoted) == ("dummy", True)
    assert "dummy" in done.verdict.reason
    assert any(warning.startswith("constant: ") for warning in done.warnings)


def test_a_chosen_estimator_that_is_no_better_than_the_dummy_is_refused(project: Project) -> None:
    rng = np.random.default_rng(0)
    add(project, pd.DataFrame({"x": rng.normal(size=300), "y": rng.normal(size=300)}))
    done = train.train(project, "m", "data", estimator="boosting", promote=True)
    assert not done.promoted
    assert done.verdict.reason.startswith("not better than the dummy")


def test_a_new_column_would_break_clients_and_is_refused(trained: Project, churn: Churn) -> None:
    frame = churn(seed=1)
    frame["extra"] = frame["age"] * 2.0
    add(trained, frame, name="wider", target="churned", time="since")
    done = train.train(trained, "churn", "wider", promote=True)
    assert not done.promoted
    assert done.verdict.reason.startswith(
        "clients of v1 would break: column 'extra' is new; leave it out (mlkit train --ignore "
    )


def test_a_champion_that_cannot_answer_gives_way_to_the_dummy_as_measure(
    trained: Project, churn: Churn
) -> None:
    frame = churn(rows=1500, seed=1).drop(columns="plan")
    add(trained, frame, name="narrower", target="churned", time="since")
    done = train.train(trained, "churn", "narrower", promote=True)
    assert done.promoted
    assert "v1 could not answer these rows" in str(done.verdict.checks)


def test_nulls_that_the_champion_never_saw_do_not_stop_the_comparison(
    trained: Project, churn: Churn
) -> None:
    frame = churn(seed=1)
    frame.loc[frame.index[-50:], "plan"] = None
    add(trained, frame, name="holes", target="churned", time="since")
    done = train.train(trained, "churn", "holes")
    assert done.verdict.comparison is not None
    assert done.verdict.comparison.rival == "v1"


def test_a_model_keeps_its_task_and_target(trained: Project) -> None:
    with pytest.raises(ConflictError, match="a classification of 'churned'"):
        train.train(trained, "churn", "churn", task="regression")
    add(trained, make_numbers(), name="other")
    with pytest.raises(ConflictError, match="give it a name of its own"):
        train.train(trained, "churn", "other")


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ({"data": "none"}, NotFoundError, "no dataset named 'none'; known: churn"),
        ({"data": "churn@9"}, NotFoundError, "no version 9"),
        ({"model": "../x"}, InvalidInputError, "cannot name a model"),
        ({"estimator": "magic"}, InvalidInputError, "no estimator named 'magic'"),
        ({"estimator": "ridge"}, InvalidInputError, "is for regression"),
        ({"estimator": "nowhere:build"}, InvalidInputError, "cannot import the estimator"),
        ({"estimator": "math:pi"}, InvalidInputError, "is not a function"),
        ({"estimator": "dummy", "tune": 3}, InvalidInputError, "nothing to tune"),
        ({"estimator": "os:getcwd"}, InvalidInputError, "is a str, which has no fit and predict"),
    ],
)
def test_what_cannot_be_trained_leaves_nothing_behind(
    trained: Project, words: Any, error: Any, message: str
) -> None:
    with pytest.raises(error, match=message):
        train.train(trained, **{"model": "churn", "data": "churn", **words})
    assert len(models.show(trained, "churn").versions) == 1


def write_module(project: Project, name: str, text: Any) -> Any:
    (project.root / f"{name}.py").write_text(textwrap.dedent(text))


def test_an_estimator_of_ones_own_is_given_plain_numbers(trained: Project) -> None:
    write_module(
        trained,
        "mine_plain",
        """
        from sklearn.svm import SVC

        def build():
            return SVC(probability=False)
        """,
    )
    done = train.train(trained, "churn", "churn", estimator="mine_plain:build")
    assert "error_rate" in done.metrics
    loaded = deploy.load_version(trained, deploy.find_version(trained, "churn", 2))
    assert loaded.predictor.predict(np.full((2, 4), np.nan)).probabilities is None


def test_an_estimator_that_asks_for_the_schema_sees_the_encoded_matrix(trained: Project) -> None:
    write_module(
        trained,
        "mine_schema",
        """
        from sklearn.ensemble import HistGradientBoostingClassifier

        class Mine(HistGradientBoostingClassifier):
            pass

        def build(schema):
            assert schema.names == ("age", "plan", "spend", "active")
            return Mine(max_iter=5)
        """,
    )
    done = train.train(trained, "churn", "churn", estimator="mine_schema:build")
    assert done.metrics["log_loss"] > 0
    program = (
        "import sys; from pathlib import Path; from mlkit.flows.registry import deploy;"
        "from mlkit.project import open_project; p = open_project(Path(sys.argv[1]));"
        "print(deploy.load_version(p, deploy.find_version(p, 'churn', 2)).version)"
    )
    words = [sys.executable, "-c", program, str(trained.root)]
    ran = subprocess.run(words, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "2"


def test_an_estimator_that_cannot_be_saved_is_refused(trained: Project) -> None:
    write_module(
        trained,
        "mine_local",
        """
        from sklearn.preprocessing import FunctionTransformer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        def build():
            return make_pipeline(FunctionTransformer(lambda x: x), LogisticRegression())
        """,
    )
    with pytest.raises(InvalidInputError, match="cannot be saved"):
        train.train(trained, "churn", "churn", estimator="mine_local:build")


def test_tuning_is_seeded_and_recorded(project: Project) -> None:
    pytest.importorskip("optuna")
    add(project, make_numbers())
    first, second = (
        train.train(project, "m", "data", estimator="boosting", tune=3) for _ in range(2)
    )
    one, two = (deploy.find_version(project, "m", number) for number in (1, 2))
    assert first.metrics == second.metrics
    assert one.params["estimator"] == two.params["estimator"]
    assert one.recipe["tune"] == 3


def test_every_kind_of_column_can_be_learned_from(project: Project, churn: Churn) -> None:
    frame = churn(rows=600)
    frame["empty"] = np.nan
    frame["year"] = 2026
    frame["user"] = [f"user-{i}" for i in range(600)]
    frame["joined"] = frame.pop("since")
    add(project, frame, target="churned")
    done = train.train(project, "m", "data")
    names = {text.split(":")[0] for text in done.warnings}
    assert {"constant_column", "all_missing", "identifier_like"} <= names
    assert done.metrics["roc_auc"] > 0.6


def test_a_leaking_target_is_named(project: Project) -> None:
    frame = make_numbers()
    frame["invoice"] = frame["y"] * 2 + 1
    add(project, frame)
    done = train.train(project, "m", "data")
    assert any(text.startswith("leaking_target: 'invoice'") for text in done.warnings)


def test_too_few_rows_are_refused(project: Project) -> None:
    add(project, make_numbers(rows=40))
    with pytest.raises(InvalidInputError, match="40 rows with a target are too few"):
        train.train(project, "m", "data")


def test_a_classifier_whose_newest_rows_have_one_class_is_still_judged(
    project: Project, churn: Churn
) -> None:
    frame = churn(rows=400)
    frame.loc[frame.index >= 320, "churned"] = "no"
    add(project, frame, target="churned", time="since")
    done = train.train(project, "m", "data")
    assert "roc_auc" not in done.metrics
    assert "log_loss" in done.metrics


def test_old_rows_of_one_class_are_refused(project: Project, churn: Churn) -> None:
    frame = churn(rows=400)
    frame["churned"] = np.where(frame.index < 330, "no", frame["churned"])
    add(project, frame, target="churned", time="since")
    with pytest.raises(InvalidInputError, match="one value of 'churned'"):
        train.train(project, "m", "data")


def test_a_champion_that_changed_meanwhile_is_not_replaced(
    trained: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    weak = train.train(trained, "churn", "churn", estimator="dummy")
    deploy.promote(trained, "churn", weak.version, force=True)
    fit_for = threads.fit_for

    def roll_back_meanwhile(rows: Any) -> Any:
        deploy.rollback(trained, "churn")
        return fit_for(rows)

    monkeypatch.setattr(threads, "fit_for", roll_back_meanwhile)
    done = train.train(trained, "churn", "churn", estimator="linear", promote=True)
    assert done.verdict.accepted
    assert not done.promoted
    assert any(text.startswith("champion_changed") for text in done.warnings)
    assert models.show(trained, "churn").champion == 1


def test_training_tells_what_it_does(trained: Project) -> None:
    said = []
    train.train(trained, "churn", "churn", progress=said.append)
    assert {"reading churn@1", "trying boosting", "asking the gate"} <= set(said)


def start_training(root: Any, program: str) -> Any:
    words = [program, "--project", str(root), "train", "m", "--data", "churn", "--promote"]
    return subprocess.Popen(words, env={"PATH": "/usr/bin:/bin"}, stderr=subprocess.PIPE)


def assert_whole(root: Any) -> Any:
    """No version without its files, never more than one champion, and the next training works."""
    project = open_project(root, environment={})
    with project.read() as s:
        found = registry.find_model(s, "m")
        versions = registry.versions(s, found) if found else []
        champions = [one for one in deployments.champions(s) if found and one.model_id == found.id]
        assert audit.first_break(s) is None
    assert len(champions) == min(1, len(versions))
    for version in versions:
        deploy.load_version(project, version)
        project.references.read(version.reference_sha256)
    done = train.train(project, "m", "churn", estimator="linear", promote=True)
    assert done.version == len(versions) + 1
    project.close()


def test_a_trainer_killed_at_random_moments_leaves_a_whole_project(
    trained: Project, warm: Any
) -> None:
    program = warm.program()
    start = time.monotonic()
    first = start_training(trained.root, program)
    _, said = first.communicate()
    assert first.returncode == 0, said
    whole_s = time.monotonic() - start
    rng = np.random.default_rng()
    for moment in rng.uniform(0.5 * whole_s, whole_s, RANDOM_KILLS):
        process = start_training(trained.root, program)
        time.sleep(moment)
        process.kill()
        process.communicate()
        assert_whole(trained.root)


def _suspicious(project: Project, frame: pd.DataFrame, name: str) -> list[str]:
    file = project.root / f"{name}.csv"
    frame.to_csv(file, index=False)
    ingest.add(project, name, file, target="churned", time="since")
    done = train.train(project, name, name, estimator="dummy")
    return [text for text in done.warnings if not text.startswith("fit_warning")]


def test_honest_rows_are_trained_on_without_a_warning(
    project: Project, churn: Callable[..., pd.DataFrame]
) -> None:
    assert _suspicious(project, churn(rows=600), "honest") == []


def test_suspicious_rows_are_named_with_the_evidence(
    project: Project, churn: Callable[..., pd.DataFrame]
) -> None:
    frame = churn(rows=600)
    late = pd.to_datetime(frame["since"]) + pd.to_timedelta((frame.index == 7) * 2 - 1, unit="D")
    frame["paid"] = late.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    frame["region"] = ["north"] * 599 + ["south"]
    frame["ticket"] = [f"t{n // 2 if n < 20 else n}" for n in range(600)]
    frame.loc[560:, "churned"] = "yes"
    copies = frame.iloc[:5].assign(since=frame["since"].iloc[-1])
    frame = pd.concat([frame, copies, frame.iloc[-3:]])
    frame = pd.concat([frame, frame.iloc[-1:].assign(since=frame["since"].iloc[3])])
    found = {text.partition(":")[0] for text in _suspicious(project, frame, "odd")}
    assert {"time_travel", "near_constant", "identifier_like", "target_drift"} <= found


def test_a_column_that_lacks_a_value_only_beside_a_missing_target_may_be_null(
    project: Project,
) -> None:
    frame = make_numbers()
    frame.loc[7, ["z", "y"]] = np.nan
    add(project, frame)
    train.train(project, "m", "data", estimator="linear", promote=True)
    columns = deploy.input_schema(deploy.find_version(project, "m")).columns
    assert {column.name: column.nullable for column in columns} == {"x": False, "z": True}


def test_clients_are_not_asked_for_what_is_the_same_in_every_row(project: Project) -> None:
    frame = make_numbers().assign(year=2026, nothing=np.nan)
    add(project, frame)
    done = train.train(project, "m", "data", estimator="linear", promote=True)
    found = deploy.find_version(project, "m")
    assert deploy.input_schema(found).names == ("x", "z")
    assert found.recipe["constant"] == ["year", "nothing"]
    told = {warning.partition(":")[0] for warning in done.warnings}
    assert {"constant_column", "all_missing"} <= told
    add(project, frame.assign(year=2026, x=frame["x"] * 2), name="later")
    wider = add(project, frame.assign(year=np.arange(len(frame)) % 3), name="wider")
    assert wider.new
    later = train.train(project, "m", "wider", estimator="linear")
    assert (
        "column 'year' is new; leave it out (mlkit train --ignore 'year')" in later.verdict.reason
    )
