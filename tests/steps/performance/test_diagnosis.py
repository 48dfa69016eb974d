"""Both kinds of drift are told apart, in words to act on."""

import msgspec
import pytest

from mlkit.steps.drift.result import DriftKind, FeatureDrift
from mlkit.steps.performance import diagnosis
from mlkit.steps.performance.base_rate import BaseRate
from mlkit.steps.performance.diagnosis import Clues
from mlkit.steps.performance.judge import Verdict


def moved(
    *columns: str, missing: bool = False, kind: DriftKind = "number", drifted: bool | None = True
) -> list[FeatureDrift]:
    kind = "missing" if missing else kind
    return [
        FeatureDrift(
            name=column if kind == "number" else f"{kind}({column})", column=column,
            kind=kind, test="ks", statistic=0.3, p_value=0.0,
            effect=0.3, threshold=0.05, drifted=drifted, visible=0.1, effective_rows=500,
        )
        for column in columns
    ]  # fmt: skip


FOLLOWED = BaseRate("yes 20% to 35%", explains=False)
LEFT_BEHIND = BaseRate("yes 20% to 35%", explains=True)
UNKNOWN = BaseRate("", explains=None)


@pytest.mark.parametrize(
    ("verdict", "drifted", "base", "words"),
    [
        ("ok", [], None, ""),
        ("ok", moved("age"), None, "inputs moved (age), error did not: watch"),
        ("ok", moved("a", "b", "c", "d"), FOLLOWED, "inputs moved (a, b, c and 1 more)"),
        ("ok", [], FOLLOWED, "base rate moved (yes 20% to 35%), error did not: check the thre"),
        ("ok", [], LEFT_BEHIND, "base rate moved (yes 20% to 35%): recalibrate threshold"),
        ("ok", moved("age"), LEFT_BEHIND, "and inputs with it (age): recalibrate threshold"),
        ("degraded", [], None, "error grew, inputs quiet: relation changed, retrain"),
        ("degraded", [], FOLLOWED, "error grew, inputs quiet: relation changed, retrain"),
        ("degraded", [], LEFT_BEHIND, "recalibrate threshold; the error grew by nothing else"),
        ("degraded", [], UNKNOWN, "base rate moved, inputs quiet: recalibrate or retrain"),
        ("degraded", moved("age"), FOLLOWED, "inputs moved (age): retrain on newer rows"),
        ("degraded", moved("age", drifted=None), None, "inputs moved (age) cannot be told"),
        ("degraded", moved("age", drifted=False), None, "inputs quiet"),
        ("ok", moved("age", drifted=None), None, ""),
        ("degraded", moved("age", missing=True), None, "in age: look upstream, before"),
        ("insufficient_data", moved("age"), FOLLOWED, ""),
        ("insufficient_data", moved("age", missing=True), None, "look upstream"),
        (
            "degraded",
            [*moved("age", kind="type"), *moved("spend", missing=True)],
            None,
            "values of age are of another type; missing values in spend: look upstream, before",
        ),
        ("ok", moved("plan", kind="unseen"), None, "inputs moved (unseen(plan)), error did not"),
    ],
)
def test_what_happened_is_said(
    *, verdict: Verdict, drifted: list[FeatureDrift], base: BaseRate | None, words: str
) -> None:
    said = diagnosis.of(verdict, Clues(inputs=drifted, base=base))
    assert words in said
    assert bool(said) == bool(words)


def test_it_is_said_since_when() -> None:
    gaps = [*moved("age", missing=True), *moved("spend", missing=True)]
    said = diagnosis.of("ok", Clues(inputs=gaps, since={"age": "14:00Z (2026-11-24)"}))
    assert said == "missing values in age since 14:00Z (2026-11-24), spend: look upstream"
    grew = diagnosis.of("degraded", Clues(since={diagnosis.ERROR: "14:00Z (2026-11-24)"}))
    assert grew.startswith("error grew since 14:00Z (2026-11-24), inputs quiet")


def test_fewer_missing_values_are_no_more() -> None:
    gaps = [msgspec.structs.replace(f, statistic=-9.0) for f in moved("age", missing=True)]
    assert diagnosis.of("ok", Clues(inputs=gaps)) == "fewer missing values in age: look upstream"
