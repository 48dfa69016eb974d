"""Both kinds of drift are told apart, in words to act on."""

import pytest

from mlkit.steps import diagnosis
from mlkit.steps.drift_result import FeatureDrift, Kind
from mlkit.steps.performance import Verdict


def moved(
    *columns: str, missing: bool = False, kind: Kind = "number", drifted: bool | None = True
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


@pytest.mark.parametrize(
    ("verdict", "drifted", "base_moved", "words"),
    [
        ("ok", [], False, ""),
        ("ok", moved("age"), False, "inputs moved (age) and the error did not: watch"),
        ("ok", moved("a", "b", "c", "d"), True, "inputs moved (a, b, c and 1 more)"),
        ("ok", [], True, "the base rate moved and the error did not: check the threshold"),
        ("degraded", [], False, "the inputs are quiet: what they mean has changed, retrain"),
        ("degraded", moved("age"), True, "inputs moved (age): retrain on newer rows"),
        ("degraded", moved("age", drifted=None), True, "inputs moved (age) cannot be told"),
        ("degraded", moved("age", drifted=False), False, "the inputs are quiet"),
        ("ok", moved("age", drifted=None), False, ""),
        ("degraded", [], True, "the base rate moved, the inputs did not: recalibrate"),
        (
            "degraded",
            moved("age", missing=True),
            False,
            "of age are missing: look upstream, before",
        ),
        (
            "degraded",
            [*moved("age", kind="type"), *moved("spend", missing=True)],
            False,
            "values of age are of another type: look upstream; more or fewer values of spend",
        ),
        ("ok", moved("plan", kind="unseen"), False, "inputs moved (unseen(plan)) and the error"),
        ("insufficient_data", moved("age"), True, ""),
        ("insufficient_data", moved("age", missing=True), False, "look upstream"),
    ],
)
def test_what_happened_is_said(
    *, verdict: Verdict, drifted: list[FeatureDrift], base_moved: bool, words: str
) -> None:
    said = diagnosis.of(verdict, drifted, base_moved=base_moved)
    assert words in said
    assert bool(said) == bool(words)
