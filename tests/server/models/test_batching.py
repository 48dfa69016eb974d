"""Concurrent requests to one estimator are answered together, each with its own answer."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mlkit.server.models.batching import Batcher
from mlkit.server.models.held import Held
from mlkit.steps.inputs.answers import Predictions
from mlkit.steps.inputs.columns import Column, InputSchema


class Slow:
    """An estimator that notes the batches, and lets nobody through before it is opened."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.open = threading.Event()

    def __call__(self, matrix: np.ndarray) -> Predictions:
        """Answer each row with its first value."""
        self.open.wait()
        self.sizes.append(len(matrix))
        if np.isnan(matrix).any():
            raise ValueError("not this row")
        return Predictions(matrix[:, 0].tolist(), matrix)


def _ask_at_once(batcher: Batcher, slow: Slow, matrices: list[np.ndarray]) -> list[object]:
    def ask(matrix: np.ndarray) -> object:
        try:
            return batcher(matrix)
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor(len(matrices)) as pool:
        futures = [pool.submit(ask, matrix) for matrix in matrices]
        while len(batcher._waiting) < len(matrices) - 1:  # one of them has the turn
            threading.Event().wait(0.01)
        slow.open.set()
        return [future.result() for future in futures]


def test_whatever_waits_is_the_next_batch_and_everyone_gets_his_own_answer() -> None:
    slow = Slow()
    matrices = [np.full((1 + i % 3, 2), float(i)) for i in range(12)]
    answers = _ask_at_once(Batcher(slow, most_rows=1_000), slow, matrices)
    assert len(slow.sizes) == 2
    assert sum(slow.sizes) == sum(len(matrix) for matrix in matrices)
    for matrix, answer in zip(matrices, answers, strict=True):
        assert isinstance(answer, Predictions)
        assert answer.values == matrix[:, 0].tolist()
        assert answer.probabilities is not None
        assert np.array_equal(answer.probabilities, matrix)


def test_a_row_that_the_estimator_cannot_answer_is_nobody_elses_matter() -> None:
    slow = Slow()
    matrices = [np.full((1, 2), np.nan if i == 5 else float(i)) for i in range(8)]
    answers = _ask_at_once(Batcher(slow, most_rows=1_000), slow, matrices)
    assert answers[5] == "not this row"
    assert [a.values for a in answers if isinstance(a, Predictions)] == [
        [float(i)] for i in range(8) if i != 5
    ]


def test_a_batch_is_bounded() -> None:
    slow = Slow()
    matrices = [np.zeros((400, 2)) for _ in range(8)]
    _ask_at_once(Batcher(slow, most_rows=1_000), slow, matrices)
    assert max(slow.sizes) <= 1_200


def test_alone_nobody_waits() -> None:
    slow = Slow()
    slow.open.set()
    assert Batcher(slow, most_rows=9)(np.ones((2, 2))).values == [1.0, 1.0]
    with pytest.raises(ValueError, match="not this row"):
        Batcher(slow, most_rows=9)(np.full((1, 2), np.nan))


class Model:
    """A predictor that notes how many rows it is asked for at once."""

    batchable = True

    def __init__(self, *, compiled: bool, large: bool) -> None:
        self.compiled, self.large = compiled, large
        self.predict = Slow()


@pytest.mark.parametrize(
    ("compiled", "large", "rows", "together"),
    [
        (False, False, 1, True),
        (False, False, 300, True),
        (True, True, 300, True),
        (True, True, 1, False),
        (True, False, 300, False),
    ],
)
def test_together_is_answered_what_costs_less_together(
    *, compiled: bool, large: bool, rows: int, together: bool
) -> None:
    schema = InputSchema(columns=(Column(name="x", kind="number"),), target="y", task="regression")
    model = Model(compiled=compiled, large=large)
    loaded: Any = SimpleNamespace(schema=schema, predictor=model)
    held = Held(loaded, load_s=0, size_bytes=0, sha256="")
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(held.ask, np.full((rows, 1), float(i))) for i in range(4)]
        if together:
            while len(held._ask_large._waiting) < 3:  # type: ignore[attr-defined]  # a Batcher
                threading.Event().wait(0.01)
        model.predict.open.set()
        assert [future.result().values for future in futures] == [
            [float(i)] * rows for i in range(4)
        ]
    assert (len(model.predict.sizes) == 2) == together
