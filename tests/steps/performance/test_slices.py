"""A part that fails is found and named; where nothing fails, hardly ever one is."""

import json

import msgspec
import numpy as np
import pyarrow as pa

from mlkit.steps.inputs.answers import Predictions
from mlkit.steps.inputs.columns import Column, InputSchema
from mlkit.steps.performance import base_rate, metrics, slices
from mlkit.steps.performance.judge import PerformanceRule
from mlkit.steps.performance.slices import Judged, Sheet

RULE = PerformanceRule(min_rows=100, tolerance=0.1)
SCHEMA = InputSchema(
    columns=(
        *(Column(name=name, kind="number") for name in "abcdefgh"),
        Column(name="origin", kind="category"),
    ),
    target="y", task="classification", classes=("no", "yes"),
)  # fmt: skip
ORIGINS = ["EWR", "JFK", "LGA"]


def rows(count: int, seed: int, *, broken: str = "", prior: float = 0.0) -> Judged:
    """Return calibrated answers; in ``broken`` a third of the labels is turned round."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(count, 8))
    origin = rng.choice(ORIGINS, p=[0.5, 0.15, 0.35], size=count)
    likely = 1 / (1 + np.exp(-2 * numbers[:, 0]))
    yes = rng.random(count) < likely
    if prior:  # the same rows of each class, but another mix of them
        kept = np.flatnonzero(yes | (rng.random(count) < 1 - prior))
        numbers, origin, likely, yes = (each[kept] for each in (numbers, origin, likely, yes))
    yes ^= (origin == broken) & (rng.random(len(yes)) < 0.35)
    actuals = np.where(yes, "yes", "no").tolist()
    answers = Predictions(
        np.where(likely > 0.5, "yes", "no").tolist(), np.column_stack([1 - likely, likely])
    )
    table = pa.table(
        {**{name: numbers[:, place] for place, name in enumerate("abcdefgh")},
         "origin": pa.array(origin.tolist())}
    )  # fmt: skip
    losses = metrics.losses("log_loss", answers, actuals, SCHEMA.classes)
    return Judged(table=table, answers=answers, actuals=actuals, losses=losses, ordered=True)


def both(found: Judged, known: Judged | None = None) -> tuple[Sheet, Sheet]:
    sheet = slices.of_holdout(SCHEMA, "log_loss", known or rows(2_000, 1))
    return sheet, slices.of_window(SCHEMA, sheet, found)


def test_the_part_that_fails_is_named_first() -> None:
    found = slices.failing(*both(rows(2_000, 2, broken="JFK")), RULE, confidence=0.95)
    assert found[0].name == "origin = JFK"
    assert found[0].low > found[0].reference
    assert found[0].value > found[0].limit
    assert found[0].q_value <= RULE.alpha


def test_where_nothing_changed_hardly_ever_a_part_is_named() -> None:
    named = [
        slices.failing(
            *both(rows(1_000, seed), rows(1_000, 1_000 + seed)), RULE, confidence=0.95
        )
        for seed in range(60)
    ]  # fmt: skip
    assert sum(map(bool, named)) <= 3


def test_a_sheet_survives_json() -> None:
    sheet, _ = both(rows(100, 3))
    text = json.dumps(msgspec.to_builtins(sheet), allow_nan=False)
    assert msgspec.convert(json.loads(text), Sheet) == sheet


def test_a_few_rows_of_a_part_say_nothing() -> None:
    assert slices.failing(*both(rows(60, 4, broken="JFK")), RULE, confidence=0.95) == ()


def test_another_mix_of_the_same_is_told_from_a_changed_relation() -> None:
    mixed = base_rate.judge(SCHEMA, *both(rows(3_000, 5, prior=0.7)), RULE)
    assert mixed.explains
    assert mixed.words == "yes 49% to 77%"
    turned = base_rate.judge(SCHEMA, *both(rows(3_000, 6, broken="EWR")), RULE)
    assert turned.explains is False


def test_answers_that_follow_the_base_rate_need_no_recalibration() -> None:
    whole = rows(6_000, 7)
    higher = np.array(whole.table["a"]) > 0
    part = Judged(
        table=whole.table.filter(pa.array(higher)),
        answers=Predictions(
            np.array(whole.answers.values)[higher].tolist(), whole.answers.probabilities[higher]
        ),
        actuals=np.array(whole.actuals)[higher].tolist(),
        losses=whole.losses[higher],
        ordered=True,
    )
    assert base_rate.judge(SCHEMA, *both(part), RULE).explains is False


def test_without_the_holdouts_sheet_nothing_is_known() -> None:
    assert base_rate.judge(SCHEMA, None, None, RULE).explains is None
