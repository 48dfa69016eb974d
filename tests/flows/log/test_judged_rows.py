"""Numbers that are none, or far from all others, hide nothing: a real regression, a real log."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa

from mlkit.errors import DamagedError, InvalidInputError, MlkitError
from mlkit.flows import predict
from mlkit.flows.alerts import alerting
from mlkit.flows.data import ingest
from mlkit.flows.log import actuals
from mlkit.flows.log.actuals import ActualItem
from mlkit.flows.log.evidence import Window
from mlkit.flows.monitoring import monitor
from mlkit.flows.monitoring.performance_watch import PerformanceChecked
from mlkit.flows.registry import deploy
from mlkit.flows.training import retraining_rows, train
from mlkit.project import Project, create_project
from mlkit.store import predictions
from mlkit.store.base import new_ids
from mlkit.store.log_columns import Entry
from mlkit.store.registry import ModelVersion

DBL_MAX = float(np.finfo(float).max)
Copied = Callable[[Path, Path], AbstractContextManager[Project]]


@pytest.fixture(scope="module")
def lines_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose model ``m`` knows that y is 3x + z: copy, not use."""
    root = tmp_path_factory.mktemp("lines")
    (root / "mlkit.toml").touch()
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=300), "z": rng.normal(size=300)})
    frame["y"] = 3 * frame["x"] + frame["z"] + rng.normal(scale=0.3, size=300)
    frame.to_csv(root / "rows.csv", index=False)
    made = create_project(root, environment={})
    ingest.add(made, "d", root / "rows.csv", target="y")
    train.train(made, "m", "d", estimator="linear", promote=True, reason="first")
    made.close()
    return root


@pytest.fixture
def lines(lines_root: Path, tmp_path: Path, copied: Copied) -> Iterator[Project]:
    with copied(lines_root, tmp_path / "lines") as made:
        yield made


def log(
    project: Project, truth: Sequence[float], said: dict[int, float | None] | None = None
) -> None:
    """Put answers near 0 on record, with ``said`` in some places, and what was true, unchecked."""
    version, now = deploy.find_version(project, "m"), project.now()
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(len(truth), 2))
    answers: list[Any] = (3 * inputs[:, 0] + inputs[:, 1]).tolist()
    for place, value in (said or {}).items():
        answers[place] = value
    at = now - timedelta(hours=12)
    request, *ids = new_ids(at, len(truth) + 1)
    entry = Entry(
        request_id=request, model_id=version.model_id, version_id=version.id, version=1,
        role="champion", latency_us=100, served_us=int(at.timestamp() * 1e6), ids=ids,
        entities=None, features=inputs.tolist(), values=answers, probabilities=None,
    )  # fmt: skip
    with project.write() as s:
        predictions.add(s, [entry])
        rows = [
            {"prediction_id": identifier, "value": json.dumps(value), "observed_at": now,
             "received_at": now}
            for identifier, value in zip(ids, truth, strict=True)
        ]  # fmt: skip
        predictions.add_actuals(s, rows)


def good(rows: int = 300) -> list[float]:
    """What is true of ``log``'s answers."""
    inputs = np.random.default_rng(1).normal(size=(rows, 2))
    noise = np.random.default_rng(2).normal(scale=0.3, size=rows)
    found: list[float] = (3 * inputs[:, 0] + inputs[:, 1] + noise).tolist()
    return found


def check(project: Project) -> PerformanceChecked:
    return monitor.check_performance(project, "m")


def test_a_good_window_is_ok(lines: Project) -> None:
    log(lines, good())
    assert check(lines).verdict == "ok"


@pytest.mark.parametrize("said", [None, DBL_MAX, -1e200])
def test_an_answer_that_is_no_number_hides_no_other(lines: Project, said: float | None) -> None:
    log(lines, [500.0] * 300, {7: said})
    found = check(lines)
    assert (found.verdict, found.unanswered, found.rows) == ("degraded", 1, 299)
    assert found.value == pytest.approx(500, rel=0.1)
    assert "nan" not in found.summary
    assert [alert.key for alert in alerting.ongoing(lines)] == ["performance:m"]


def test_an_actual_too_long_for_a_float_hides_no_other(lines: Project) -> None:
    log(lines, [500.0] * 299 + [10**400])  # 0.1 took whole numbers of any length
    found = check(lines)
    assert (found.verdict, found.rows) == ("degraded", 299)
    assert "large_actuals: 1 beyond" in found.summary


@pytest.mark.parametrize("text", ["1e400", "NaN", '"x"', "[]", "{"])
def test_an_actual_that_was_edited_is_named_with_its_prediction(lines: Project, text: str) -> None:
    log(lines, good())
    with lines.database.engine.begin() as connection:
        query = "UPDATE actual SET value = :text WHERE rowid = 3 RETURNING prediction_id"
        (edited,) = connection.execute(sa.text(query), {"text": text}).one()
    with pytest.raises(DamagedError, match=f"prediction {edited} in the log is not as it was"):
        check(lines)


def test_with_an_answer_that_is_no_number_it_is_never_ok(lines: Project) -> None:
    log(lines, good(), {7: None})
    found = check(lines)
    assert found.verdict == "degraded"
    assert "no_answer: 1 of 300 answers is no finite number" in found.summary
    assert "error grew" not in found.summary


def test_a_window_without_any_usable_answer_is_not_called_too_small(lines: Project) -> None:
    log(lines, good(), dict.fromkeys(range(300), None))
    assert check(lines).verdict == "degraded"


@pytest.mark.parametrize("value", [DBL_MAX, -1e158])
def test_an_actual_that_is_too_large_is_left_out_and_told_of(lines: Project, value: float) -> None:
    log(lines, [value, *good()[1:]])
    found = check(lines)
    assert (found.verdict, found.rows) == ("ok", 299)
    assert "large_actuals: 1 beyond 1e+100 are left out" in found.summary


@pytest.mark.parametrize("every", [30, 300])
def test_a_few_huge_losses_hide_no_others_and_are_named(lines: Project, every: int) -> None:
    log(lines, [999999.0 if place % every == 7 else 500.0 for place in range(300)])
    found = check(lines)
    assert found.verdict == "degraded"
    assert "error did not" not in found.summary
    assert f"{300 // every} actual" in found.summary
    assert "lie far from all others (999999" in found.summary.replace("lies", "lie")


def test_a_few_huge_losses_alone_are_told_of(lines: Project) -> None:
    log(lines, [999999.0, *good()[1:]])
    found = check(lines)
    assert found.typical is not None
    assert not found.typical.risen
    assert "1 of 300 rows carries 100% of the loss" in found.summary


def test_an_error_that_may_have_grown_is_not_said_not_to_have(lines: Project) -> None:
    rng = np.random.default_rng(3)
    log(lines, (np.array(good(100)) + rng.normal(scale=0.18, size=100)).tolist())
    found = check(lines)
    assert found.value is not None
    assert found.value > 1.1 * found.reference
    assert found.verdict == "ok"
    assert "error did not" not in found.diagnosis


def test_a_version_of_old_is_judged_by_typical_rows_as_well(lines: Project) -> None:
    with lines.write() as s:
        row = s.get_one(ModelVersion, deploy.find_version(lines, "m").id)
        assert row.slices is not None
        parts = {name: [{**part, "capped": None} for part in row.slices[name]]
                 for name in ("inputs", "actuals")}  # fmt: skip
        row.slices = {**row.slices, **parts, "capped": None}
    log(lines, [999999.0 if place % 30 == 7 else 500.0 for place in range(300)])
    assert check(lines).verdict == "degraded"


def test_what_no_model_can_learn_is_left_out_of_new_rows(lines: Project) -> None:
    log(lines, [DBL_MAX, *good()[1:]])
    champion, now = deploy.find_version(lines, "m"), lines.now()
    window = Window(start=now - timedelta(days=1), end=now)
    like = pa.schema([("x", pa.float64()), ("z", pa.float64()), ("y", pa.float64())])
    picked = retraining_rows.pick(lines, champion, window, like)
    assert picked.rows.num_rows == 299
    assert any(text.startswith("large_numbers: 1 rows") for text in picked.warnings)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (DBL_MAX, "beyond 1e+100"),
        (-1.1e100, "beyond 1e+100"),
        (10**400, "beyond 1e+100"),
        ("1e400", "not a number"),
        ("nan", "not a number"),
        (float("inf"), "not a number"),
    ],
)
def test_actuals_are_bounded_as_targets_are(lines: Project, value: Any, problem: str) -> None:
    schema = deploy.input_schema(deploy.find_version(lines, "m"))
    with pytest.raises(InvalidInputError, match=problem.replace("+", r"\+")):
        actuals.label(schema, actuals.read(schema, value))
    log(lines, good(5))


def test_an_actual_that_is_too_large_stores_nothing_of_its_batch(lines: Project) -> None:
    version = deploy.find_version(lines, "m")
    request, one, two = new_ids(lines.now(), 3)
    entry = Entry(
        request_id=request, model_id=version.model_id, version_id=version.id, version=1,
        role="champion", latency_us=1, served_us=int(lines.now().timestamp() * 1e6),
        ids=[one, two], entities=None, features=[[0.0, 0.0]] * 2, values=[0.0, 0.0],
        probabilities=None,
    )  # fmt: skip
    with lines.write() as s:
        predictions.add(s, [entry])
    with pytest.raises(InvalidInputError, match=r"row 1: .*beyond"):
        actuals.add(lines, [ActualItem(one, 1.0), ActualItem(two, DBL_MAX)])
    assert actuals.add(lines, [ActualItem(one, 1.0), ActualItem(two, 1e100)]).accepted == 2


def test_a_row_of_a_file_without_a_finite_answer_is_named(lines: Project, tmp_path: Path) -> None:
    file, output = tmp_path / "rows.csv", tmp_path / "out.csv"
    file.write_text(f"x,z\n0,0\n{DBL_MAX!r},0\n1,1\n")
    with pytest.raises(InvalidInputError, match="row 2, column 'x'"):
        predict.predict(lines, "m", file, output=output)
    assert not output.exists()


def test_a_training_column_with_a_huge_value_is_named_with_its_row(
    lines: Project, tmp_path: Path
) -> None:
    frame = pd.read_csv(lines.root / "rows.csv")
    frame.loc[6, "x"] = DBL_MAX
    frame.to_csv(tmp_path / "max.csv", index=False)
    ingest.add(lines, "max", tmp_path / "max.csv", target="y")
    with pytest.raises(InvalidInputError, match=r"column 'x' has 1.79769e\+308 in row 7"):
        train.train(lines, "other", "max")


def test_a_version_without_a_loss_on_its_holdout_is_told_of_and_shown(lines: Project) -> None:
    from mlkit.flows.registry import champions, models

    train.train(lines, "a", "d", estimator="linear", promote=True)
    with lines.write() as s:
        row = s.get_one(ModelVersion, deploy.find_version(lines, "a").id)
        row.metrics, row.slices = {"mae": float("nan")}, None
    lines_of = {each.model: (each.metric, each.champion) for each in models.summaries(lines)}
    assert lines_of == {"a": (None, 1), "m": ("mae", 1)}
    assert models.show(lines, "a").versions[0].metric is None
    log(lines, [500.0] * 300)
    with pytest.raises(
        MlkitError, match=r"a failed: v1 has no mae on its holdout.*; m: v1 degraded"
    ):
        champions.each(lines, lambda name: monitor.check_performance(lines, name).summary)


def test_no_json_column_has_a_nan(lines: Project) -> None:
    with lines.write() as s:
        s.get_one(ModelVersion, 1).metrics = {"mae": float("nan"), "r2": float("inf"), "rows": 3}
    with lines.read() as s:
        assert msgspec.json.encode(s.get_one(ModelVersion, 1).metrics) == (
            b'{"mae":null,"r2":null,"rows":3}'
        )
