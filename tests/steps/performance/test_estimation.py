"""What is expected before actuals come, against what came."""

import io

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.errors import DamagedError
from mlkit.steps.inputs.answers import Predictions
from mlkit.steps.performance import (
    calibration,
    estimation,
    estimation_file,
    estimation_fit,
    lack_of_fit,
    metrics,
)
from mlkit.steps.performance.estimation import Answered, Estimation, Parts

CLASSES = ("no", "yes")


def world(rows: int, seed: int, shift: float = 0.0) -> tuple[np.ndarray, Predictions, list[str]]:
    """Return inputs, the answers of an overconfident classifier, and what was true."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    x[:, 0] += shift
    score = 1.5 * x[:, 0]
    actual = np.where(rng.random(rows) < 1 / (1 + np.exp(-score)), "yes", "no").tolist()
    said = 1 / (1 + np.exp(-2 * score))
    values = np.where(said > 0.5, "yes", "no").tolist()
    return x, Predictions(values, np.column_stack([1 - said, said])), actual


def learned(metric: str, rows: int = 4_000, seed: int = 0) -> Estimation:
    x, answers, actual = world(rows, seed)
    return estimation_fit.fit(
        estimation_fit.Material(
            metric,
            estimation.answered(x, answers, CLASSES),
            metrics.losses(metric, answers, actual, CLASSES),
            estimation.indexes(actual, CLASSES),
            classes=CLASSES,
            names=("a", "b", "c"),
        )
    )


def numbers(rows: int, seed: int, shift: float = 0.0) -> tuple[np.ndarray, Predictions, np.ndarray]:
    """Return inputs, answers that are wrong by as much as the first input is large, the truth."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 2))
    x[:, 0] += shift
    truth = x[:, 1] + np.abs(x[:, 0]) * rng.normal(size=rows)
    return x, Predictions(x[:, 1].tolist(), None), truth


def of_numbers(
    x: np.ndarray, answers: Predictions, truth: np.ndarray, *, ordered: bool = False
) -> Estimation:
    losses = metrics.losses("mae", answers, truth.tolist())
    rows = estimation.answered(x, answers, ())
    material = estimation_fit.Material(
        "mae", rows, losses, np.zeros(0, dtype=int), names=("a", "b"), ordered=ordered
    )
    return estimation_fit.fit(material)


@pytest.mark.parametrize("metric", ["log_loss", "error_rate"])
@pytest.mark.parametrize("shift", [0.0, 1.0, -1.0])
def test_the_loss_of_moved_inputs_is_foreseen(metric: str, shift: float) -> None:
    known = learned(metric)
    x, answers, actual = world(20_000, 9, shift)
    truth = metrics.losses(metric, answers, actual, CLASSES).mean()
    rows = estimation.answered(x, answers, CLASSES)
    found = estimation.estimate(known, rows, confidence=0.95)
    assert found.trusted
    assert found.low <= truth <= found.high
    if shift:
        assert abs(found.value - truth) < abs(known.loss - truth) / 2


@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_the_loss_of_numbers_is_foreseen(shift: float) -> None:
    known = of_numbers(*numbers(4_000, 0))
    x, answers, truth = numbers(20_000, 9, shift)
    real = np.abs(truth - x[:, 1]).mean()
    found = estimation.estimate(known, estimation.answered(x, answers, ()), confidence=0.95)
    assert (found.way, found.trusted) == ("inputs", True)
    assert found.value == pytest.approx(real, rel=0.06)
    assert found.low <= real <= found.high


def test_expected_accuracy_by_hand() -> None:
    """Said 0.2, 0.4, 0.9 come true in 1/4, 1/2, 3/4: wrong in 1/4, 1/2, 1/4 of the cases."""
    curve = calibration.Curve(np.array([0.2, 0.4, 0.9]), np.array([0.25, 0.5, 0.75]))
    said = np.array([0.2, 0.4, 0.9])
    rows = Answered(np.zeros((3, 1)), np.array([0, 0, 1]), np.column_stack([1 - said, said]))
    parts = Parts(0.0, (curve,))
    assert estimation.expected("error_rate", parts, rows).tolist() == [0.25, 0.5, 0.25]
    expected = -(0.25 * np.log(0.2) + 0.75 * np.log(0.8))
    assert estimation.expected("log_loss", parts, rows)[0] == pytest.approx(expected)


@given(st.integers(0, 10_000), st.integers(2, 4))
@settings(max_examples=30, deadline=None)
def test_the_expected_loss_is_the_mean_over_all_that_may_come_true(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    said, chances = (rng.dirichlet(np.ones(count), 5) for _ in range(2))
    classes = tuple(range(count))
    answers = Predictions(said.argmax(axis=1).tolist(), said)
    rows = estimation.answered(np.zeros((5, 0)), answers, classes)
    for metric in ("log_loss", "error_rate"):
        each = [metrics.losses(metric, answers, [label] * 5, classes) for label in classes]
        expected = (np.stack(each, axis=1) * chances).sum(axis=1)
        np.testing.assert_allclose(estimation.of_chances(metric, rows, chances), expected)


def test_a_base_rate_that_moved_is_named() -> None:
    known = learned("error_rate")
    x, answers, actual = world(40_000, 9)
    keep = np.array([label == "yes" or place % 4 == 0 for place, label in enumerate(actual)])
    rows = estimation.answered(x, answers, CLASSES).pick(keep)
    found = estimation.estimate(known, rows, confidence=0.95)
    truth = metrics.losses("error_rate", answers, actual, CLASSES)[keep].mean()
    assert (found.way, found.trusted) == ("base_rate", True)
    assert found.reason.startswith("only the base rate seems to have moved: ")
    assert found.value == pytest.approx(truth, abs=0.015)


def test_inputs_beyond_all_that_was_seen_are_named_and_not_trusted() -> None:
    known = learned("log_loss")
    x, answers, _ = world(1_000, 9)
    x[:100, 1] = 99
    found = estimation.estimate(known, estimation.answered(x, answers, CLASSES), confidence=0.95)
    assert not found.trusted
    assert found.reason == "10% of b lies beyond all that it was checked on"


def test_a_small_holdout_claims_nothing_but_its_own_loss() -> None:
    known = learned("log_loss", rows=150)
    x, answers, _ = world(1_000, 9, shift=2.0)
    found = estimation.estimate(known, estimation.answered(x, answers, CLASSES), confidence=0.95)
    assert (found.way, found.trusted, found.value) == ("unchanged", False, known.loss)
    assert "too small to learn from" in found.reason


def test_what_holds_in_one_part_of_the_holdout_alone_is_no_rule() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6_000, 2))
    newest = np.arange(6_000) >= 4_800
    noise = rng.normal(size=6_000) * np.where(newest & (x[:, 0] > 0), 6.0, 1.0)
    known = of_numbers(x, Predictions(x[:, 1].tolist(), None), x[:, 1] + noise)
    assert (known.way, known.trusted) == ("unchanged", False)
    assert "neither probabilities nor inputs tell" in known.reason


def test_too_few_rows_to_check_are_not_taken_for_alike() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 2))
    known = of_numbers(x, Predictions(x[:, 1].tolist(), None), x[:, 1] + rng.lognormal(0, 2, 600))
    assert (known.way, known.trusted) == ("unchanged", False)
    assert known.reason == "its holdout of 600 rows is too small to check an estimate on"


def test_losses_that_are_alike_everywhere_are_expected_to_stay() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8_000, 2))
    known = of_numbers(x, Predictions(x[:, 1].tolist(), None), x[:, 1] + rng.normal(size=8_000))
    moved = estimation.answered(x + 1, Predictions((x[:, 1] + 1).tolist(), None), ())
    found = estimation.estimate(known, moved, confidence=0.95)
    assert known.trusted
    assert found.value == pytest.approx(known.loss, rel=0.1)


def test_losses_that_resemble_their_neighbours_make_the_interval_wider() -> None:
    x, answers, truth = numbers(4_000, 0)
    calm = of_numbers(x, answers, truth, ordered=True)
    order = np.argsort(np.abs(truth - x[:, 1]), kind="stable")
    parts = np.array_split(order, 100)  # of equal losses, and then in any order
    mixed = np.concatenate([parts[place] for place in np.random.default_rng(1).permutation(100)])
    moody = of_numbers(
        x[mixed], Predictions(x[mixed, 1].tolist(), None), truth[mixed], ordered=True
    )
    assert calm.tau < 2
    assert moody.tau > 5


def test_the_interval_narrows_with_the_window_and_widens_with_the_level() -> None:
    known = learned("error_rate")
    x, answers, _ = world(10_000, 9)
    rows = estimation.answered(x, answers, CLASSES)
    few = rows.pick(np.arange(10_000) < 100)
    small, large = (estimation.estimate(known, each, confidence=0.95) for each in (few, rows))
    surer = estimation.estimate(known, rows, confidence=0.99)
    assert small.high - small.low > 2 * (large.high - large.low)
    assert surer.high - surer.low > large.high - large.low
    assert small.least < large.least < large.value


def test_95_of_100_windows_lie_inside() -> None:
    inside = []
    for seed in range(60):
        known = learned("error_rate", rows=1_000, seed=seed)
        x, answers, actual = world(500, 1_000 + seed)
        rows = estimation.answered(x, answers, CLASSES)
        found = estimation.estimate(known, rows, confidence=0.95)
        truth = metrics.losses("error_rate", answers, actual, CLASSES).mean()
        inside.append(found.low <= truth <= found.high)
    assert np.mean(inside) >= 0.88


@pytest.mark.parametrize(
    "of", [lambda: learned("log_loss"), lambda: of_numbers(*numbers(600, 0)),
           lambda: learned("log_loss", rows=150)],
)  # fmt: skip
def test_an_estimation_survives_storage(of: object) -> None:
    made: Estimation = of()  # type: ignore[operator]  # a maker
    content = estimation_file.dump(made)
    read = estimation_file.load(content)
    assert estimation_file.dump(read) == content
    assert msgspec.structs.replace(read, base=0, looks=None, inputs=None, calibrated=None) == (
        msgspec.structs.replace(made, base=0, looks=None, inputs=None, calibrated=None)
    )
    x, answers, _ = world(100, 3) if made.classes else numbers(100, 3)
    rows = estimation.answered(x, answers, made.classes)
    assert estimation.estimate(read, rows, confidence=0.9) == (
        estimation.estimate(made, rows, confidence=0.9)
    )


def test_a_file_that_is_damaged_or_of_the_future_is_refused() -> None:
    content = estimation_file.dump(learned("log_loss", rows=600))
    for damaged in (b"", b"nonsense", content[: len(content) // 2]):
        with pytest.raises(DamagedError, match="mlkit backup restore"):
            estimation_file.load(damaged)
    with np.load(io.BytesIO(content)) as file:
        arrays = dict(file)
    header = msgspec.json.decode(arrays["header"].tobytes()) | {"format": 9}
    arrays["header"] = np.frombuffer(msgspec.json.encode(header), dtype=np.uint8)
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    with pytest.raises(DamagedError, match="has format 9; this program reads 1"):
        estimation_file.load(stream.getvalue())


def test_chance_alone_is_no_misfit() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4_000, 4))
    parts = lack_of_fit.cut(x, np.zeros(4_000, dtype=int))
    noise = lack_of_fit.measure(parts, rng.normal(size=4_000))
    wrong = lack_of_fit.measure(parts, rng.normal(size=4_000) + 0.3 * x[:, 0])
    assert len(parts) == 4 + 6
    assert noise.real < noise.chance / 2
    assert wrong.real > 10 * noise.chance
