"""Many tests as one family: what is rarely of use does not weaken what mostly is."""

import numpy as np
import pytest
from scipy import stats

from mlkit.steps.drift import family
from mlkit.steps.drift.result import DriftKind, DriftResult, FeatureDrift, RowCounts


def feature(p_value: float, kind: DriftKind = "number", **more: float) -> FeatureDrift:
    return FeatureDrift(
        name=f"{kind}{p_value}", column="x", kind=kind, test="ks", statistic=0.3, p_value=p_value,
        effect=more.get("effect", 0.3), threshold=0.05, visible=more.get("visible", 0.1),
        effective_rows=500,
    )  # fmt: skip


def q_values(*features: FeatureDrift, quiet: int = 0) -> list[float]:
    return [f.q_value for f in family.judge(features, quiet=quiet, alpha=0.05)]


def test_margins_alone_are_corrected_as_scipy_does() -> None:
    p_values = [0.001, 0.2, 0.04, 0.03]
    expected = stats.false_discovery_control(p_values)
    assert q_values(*map(feature, p_values)) == pytest.approx(expected.tolist())


def test_the_number_of_quiet_tests_costs_the_margins_a_tenth_and_no_more() -> None:
    alone = q_values(feature(0.001), feature(0.02))
    for quiet in (1, 10, 1_000):
        found = q_values(feature(0.001), feature(0.02), quiet=quiet)
        assert found == pytest.approx([q / 0.9 for q in alone])


def test_a_violation_pays_for_those_that_were_looked_for() -> None:
    (q_value,) = q_values(feature(1e-4, "range"), quiet=49)
    assert q_value == pytest.approx(50 * 1e-4)
    _, beside = q_values(feature(0.9), feature(1e-4, "range"), quiet=49)
    assert beside == pytest.approx(50 * 1e-4 / 0.1)


def test_false_alarms_of_all_groups_together_stay_within_alpha() -> None:
    rng = np.random.default_rng(0)
    kinds: list[DriftKind] = ["number"] * 10 + ["range"] * 10 + ["joint"]
    alarms = 0
    for _ in range(2_000):
        tests = [feature(float(p), kind) for p, kind in zip(rng.random(21), kinds, strict=True)]
        alarms += any(f.drifted for f in family.judge(tests, quiet=0, alpha=0.1))
    assert 0.07 < alarms / 2_000 < 0.115


def test_one_more_test_is_judged_with_the_others() -> None:
    first = family.judge([feature(0.042), feature(0.03)], quiet=2, alpha=0.05)
    result = DriftResult(
        verdict=family.verdict(first), features=first, rows=RowCounts(900, 900), alpha=0.05, quiet=2
    )
    assert result.verdict == "drift"
    more = family.add(result, feature(0.9, "joint"), enough=True)
    assert [f.kind for f in more.features] == ["number", "number", "joint"]
    assert (more.verdict, more.features[0].q_value) == ("ok", pytest.approx(0.042 / 0.8))
    few = family.add(result, feature(1e-9, "joint"), enough=False)
    assert few.features[-1].drifted is None


def test_a_test_that_could_see_nothing_is_left_out_and_named() -> None:
    judged = family.judge([feature(0.5, visible=0.6)], quiet=0, alpha=0.05)
    assert family.verdict(judged) == "insufficient_data"
    assert [text.split(" ", 1)[0] for text in family.blind(judged)] == ["blind:"]
