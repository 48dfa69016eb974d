import numpy as np

from mlkit.steps.performance import carriers


def test_usual_losses_are_carried_by_many_rows() -> None:
    rng = np.random.default_rng(0)
    for values in (np.abs(rng.normal(size=500)), rng.exponential(size=500), np.zeros(9)):
        assert carriers.find(values) is None


def test_rows_that_carry_the_loss_are_counted_and_their_odd_actuals_named() -> None:
    actuals = np.r_[np.full(290, 500.0), np.full(9, 999999.0), -1e9]
    found = carriers.find(np.abs(actuals))
    assert found is not None
    assert carriers.in_words(found, actuals, 3.0) == (
        "1 of 300 rows carries 99% of the loss; 10 actuals lie far from all others "
        "(999999 9 times, -1000000000)"
    )


def test_huge_losses_of_usual_actuals_are_no_fault_of_these() -> None:
    actuals = np.random.default_rng(0).normal(size=100)
    found = carriers.find(np.r_[1e6, np.ones(99)])
    assert found is not None
    assert carriers.in_words(found, actuals, 1.0) == "1 of 100 rows carries 100% of the loss"
