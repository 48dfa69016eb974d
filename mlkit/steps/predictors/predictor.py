"""A trained model whose prediction for a row is bit for bit the same in any batch.

BLAS and some estimators round differently with the shape of the batch (measured: scikit-learn's
logistic regression moves by 2e-16), so an estimator is served in batches only where that is safe.
"""

from collections.abc import Iterator
from typing import Any, Final, Literal

import numpy as np

from mlkit.steps.inputs import answer_shapes, unanswered
from mlkit.steps.inputs.answers import Predictions, agree, difference
from mlkit.steps.inputs.columns import InputSchema
from mlkit.steps.predictors.backend import Backend, time_of
from mlkit.steps.predictors.compiled import Compiled, NoCompiledFormError, compile_estimator

_SAMPLE_ROWS: Final = 64
_BATCH_SIZES: Final = (1, 3, 17)

Way = Literal["compiled", "batch", "rows"]


class Predictor:
    """Predict rows of the encoded matrix.

    ``way`` says how it predicts: ``compiled`` from the fitted arrays, ``batch`` all rows in one
    call of the estimator, ``rows`` one at a time. From ``estimator_from`` rows on the estimator is
    used, where it is faster and bit for bit the same. The label is the most probable class, unless
    ``own_labels``: the estimator decides itself (a threshold, or no probabilities).
    """

    def __init__(
        self,
        schema: InputSchema,
        estimator: Any,
        *,
        way: Way = "batch",
        own_labels: bool = False,
        estimator_from: int | None = None,
    ) -> None:
        self.schema = schema
        self.estimator = estimator
        self.way = way
        self.own_labels = own_labels
        self.estimator_from = estimator_from
        self.backend: Backend | None = None
        self._compiled: Compiled | None = None
        self._codes = _class_codes(schema, estimator)
        self._in_order = self._codes == list(range(len(schema.classes)))
        if way == "compiled":
            self._compiled = compile_estimator(estimator)

    @property
    def compiled(self) -> bool:
        """Tell whether the compiled form is used."""
        return self._compiled is not None

    @property
    def large(self) -> bool:
        """Tell whether the fitted arrays exceed a processor's cache."""
        return self._compiled is not None and self._compiled.large

    @property
    def batchable(self) -> bool:
        """Tell whether rows predicted in one call are bit for bit those of single calls."""
        return self.way != "rows"

    @property
    def has_probabilities(self) -> bool:
        """Tell whether predictions have class probabilities."""
        given = self._compiled is not None or hasattr(self.estimator, "predict_proba")
        return self.schema.task == "classification" and given

    def predict(self, matrix: np.ndarray) -> Predictions:
        """Return the predictions for the rows of ``matrix``, unchecked.

        ``unanswered`` finds rows without a valid one.
        """
        if self.schema.task == "regression":
            return Predictions(self._ask("predict", matrix).tolist(), None)
        probabilities = self._probabilities(matrix)
        if probabilities is None or self.own_labels:
            chosen = self._ask("predict", matrix)
            codes = unanswered.decided(chosen, self.schema.classes, probabilities)
        else:
            codes = unanswered.most_probable(probabilities)
        return Predictions(unanswered.labels(self.schema.classes, codes), probabilities)

    def without_estimator(self) -> "Predictor":
        """Return this predictor without the estimator if its compiled form does not need it."""
        if self._compiled is not None and self.estimator_from is None:
            self.estimator = None
        return self

    def _probabilities(self, matrix: np.ndarray) -> np.ndarray | None:
        """Return the class probabilities in the order of the schema, 0 for a class never seen."""
        if self._compiled is None and not hasattr(self.estimator, "predict_proba"):
            return None
        found = self._ask("predict_proba", matrix)
        if self._in_order:
            return found
        full = np.zeros((len(matrix), len(self.schema.classes)))
        full[:, self._codes] = found
        return full

    def _ask(self, method: str, matrix: np.ndarray) -> np.ndarray:
        if self._compiled is not None and not self._is_many(matrix):
            return self._compiled.answer(matrix)
        if self.way != "rows" or not len(matrix):
            return self._ask_once(method, matrix)
        return np.concatenate(
            [self._ask_once(method, matrix[i : i + 1]) for i in range(len(matrix))]
        )

    def _ask_once(self, method: str, matrix: np.ndarray) -> np.ndarray:
        """Return the estimator's own output in canonical form."""
        found = answer_shapes.ask(self.estimator, method, matrix)
        rows = len(matrix)
        if method == "predict_proba":
            return answer_shapes.probabilities(self.estimator, found, rows, len(self._codes))
        if self.schema.task == "regression":
            return answer_shapes.numbers(self.estimator, found, rows)
        return answer_shapes.labels(self.estimator, found, rows, len(self.schema.classes))

    def _is_many(self, matrix: np.ndarray) -> bool:
        return self.estimator_from is not None and len(matrix) >= self.estimator_from


def build(schema: InputSchema, estimator: Any, sample: np.ndarray) -> Predictor:
    """Return the fastest predictor that equals ``estimator`` and single-row calls on ``sample``.

    The compiled form is used if labels are equal and numbers within 1e-6 of the estimator's; any
    way is used only if batches of many sizes equal single rows bit for bit. The choice, its reason
    and the measured times are in its ``backend``.
    """
    limit_threads(estimator)
    own = _decides_itself(schema, estimator, sample)
    truth = Predictor(schema, estimator, own_labels=own)
    times = time_of(truth.predict, sample)
    quick, reason = _quick(truth, sample)
    if quick is not None:
        quick.backend = Backend(
            name=quick._compiled.name if quick._compiled else "",  # noqa: SLF001  # this module's own
            reason=reason,
            difference=difference(quick.predict(sample), truth.predict(sample)),
            microseconds=time_of(quick.predict, sample),
            estimator_microseconds=times,
        )
        if quick.backend.difference == 0 and _is_steady(truth, sample):
            quick.estimator_from = quick.backend.slower_from()
        return quick
    if not _is_steady(truth, sample):
        truth = Predictor(schema, estimator, way="rows", own_labels=own)
        reason += "; asked row by row, because its answers depend on the other rows"
        times = time_of(truth.predict, sample)
    truth.backend = Backend(
        name="estimator", reason=reason, microseconds=times, estimator_microseconds=times
    )
    return truth


def _quick(truth: Predictor, sample: np.ndarray) -> tuple[Predictor | None, str]:
    """Return the compiled predictor, or None and the reason why it is not used."""
    if truth.own_labels:
        return None, "the estimator decides on the label by itself"
    try:
        quick = Predictor(truth.schema, truth.estimator, way="compiled")
        found = quick.predict(sample)
    except NoCompiledFormError as error:
        return None, str(error)
    except Exception as error:  # noqa: BLE001  # another scikit-learn may raise anything
        return None, f"the compiled form fails: {error!r}"[:300]
    gap = difference(found, truth.predict(sample))
    if not agree(found, truth.predict(sample)):
        return None, f"the compiled form differs from the estimator by {gap:.1e} on the holdout"
    if not _is_steady(quick, sample):
        return None, "the compiled form's answers depend on the other rows"
    return quick, f"equal to the estimator within {gap:.1e} on {len(sample)} rows"


def limit_threads(estimator: Any) -> None:
    """Set every ``n_jobs`` to 1: a server is parallel by its workers."""
    if not hasattr(estimator, "get_params"):
        return
    jobs = [name for name in estimator.get_params() if name.rpartition("__")[2] == "n_jobs"]
    estimator.set_params(**dict.fromkeys(jobs, 1))
    for part in getattr(estimator, "estimators_", ()):  # fitted members have their own copy
        if hasattr(part, "n_jobs"):
            part.n_jobs = 1


def _class_codes(schema: InputSchema, estimator: Any) -> list[int]:
    """Return the codes of the classes that the estimator knows, in its own order."""
    if schema.task == "regression":
        return []
    return answer_shapes.classes_of(estimator, len(schema.classes))


def _decides_itself(schema: InputSchema, estimator: Any, sample: np.ndarray) -> bool:
    if schema.task == "regression" or not hasattr(estimator, "predict_proba"):
        return False
    ways = (Predictor(schema, estimator, own_labels=own).predict(sample) for own in (False, True))
    probable, own = ways
    return probable.values != own.values


def _is_steady(predictor: Predictor, sample: np.ndarray) -> bool:
    """Tell whether predictions are bit for bit equal in all batch sizes and positions."""
    rows = sample[:_SAMPLE_ROWS]
    whole = predictor.predict(rows)
    for size in _BATCH_SIZES:
        parts = [predictor.predict(part) for part in _batches(rows, size)]
        if [value for part in parts for value in part.values] != whole.values:
            return False
        if whole.probabilities is not None and not np.array_equal(
            np.vstack([part.probabilities for part in parts if part.probabilities is not None]),
            whole.probabilities,
        ):
            return False
    return True


def _batches(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
