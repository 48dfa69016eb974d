"""Every compiled form gives what scikit-learn gives, in any batch, for one row and for many."""

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    RobustScaler,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from mlkit.steps.inputs.answers import Predictions
from mlkit.steps.inputs.columns import Column, InputSchema
from mlkit.steps.inputs.expand import Expand
from mlkit.steps.predictors import artifacts, predictor
from mlkit.steps.predictors.compiled import NoCompiledFormError, compile_estimator
from mlkit.steps.predictors.forest import halves

ROWS, WIDTH = 400, 6
CODED = [2, 5]  # columns with category codes


def _matrix(*, gaps: bool) -> np.ndarray:
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(ROWS, WIDTH)) * [1, 100, 0, 1e-3, 1e6, 0]
    for place in CODED:
        matrix[:, place] = rng.integers(0, 7, ROWS)
    if gaps:
        matrix[rng.random(matrix.shape) < 0.1] = np.nan
    return matrix


def _target(matrix: np.ndarray, classes: int) -> np.ndarray:
    score = np.nan_to_num(matrix[:, 0]) * 3 + np.nan_to_num(matrix[:, 2]) * 0.3
    if not classes:
        return score + np.nan_to_num(matrix[:, 3])
    edges = np.quantile(score, np.linspace(0, 1, classes + 1)[1:-1])
    return np.searchsorted(edges, score)


def _schema(classes: int) -> InputSchema:
    columns = tuple(Column(name=f"x{i}", kind="number", nullable=True) for i in range(WIDTH))
    labels = tuple("abcdefgh"[:classes])
    task = "classification" if classes else "regression"
    return InputSchema(columns=columns, target="y", task=task, classes=labels)  # type: ignore[arg-type]


def _mixed(model: Any) -> Any:
    numbers = [i for i in range(WIDTH) if i not in CODED]
    return make_pipeline(
        ColumnTransformer(
            [
                (
                    "numbers",
                    make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()),
                    numbers,
                ),
                ("codes", OneHotEncoder(handle_unknown="ignore", drop=None), CODED),
            ],
        ),
        model,
    )


CASES: dict[str, tuple[Any, int, bool]] = {
    "scaled logistic": (make_pipeline(StandardScaler(), LogisticRegression()), 2, False),
    "scaled logistic of 4": (make_pipeline(RobustScaler(), LogisticRegression()), 4, False),
    "least squares": (make_pipeline(MinMaxScaler(clip=True), LinearRegression()), 0, False),
    "lasso": (make_pipeline(MaxAbsScaler(), "passthrough", Lasso(alpha=0.01)), 0, False),
    "ridge behind Expand": (make_pipeline(Expand(categorical=CODED), Ridge()), 0, True),
    "logistic behind Expand": (make_pipeline(Expand(CODED), LogisticRegression()), 3, True),
    "mixed columns": (_mixed(LogisticRegression(max_iter=500)), 3, True),
    "mixed columns, trees": (_mixed(RandomForestRegressor(20, random_state=0)), 0, True),
    "most frequent": (make_pipeline(SimpleImputer(strategy="most_frequent"), Ridge()), 0, True),
    "identity": (make_pipeline(FunctionTransformer(), Ridge()), 0, False),
    "tree": (DecisionTreeClassifier(), 3, True),
    "tree of numbers": (DecisionTreeRegressor(max_depth=3), 0, True),
    "a stump": (DecisionTreeRegressor(max_depth=1), 0, False),
    "forest": (RandomForestClassifier(30, random_state=0), 2, True),
    "forest of 5": (RandomForestClassifier(30, random_state=0), 5, False),
    "forest of numbers": (RandomForestRegressor(33, random_state=0), 0, True),
    "one tree": (RandomForestRegressor(1, random_state=0), 0, True),
    "extra trees": (ExtraTreesClassifier(20, random_state=0), 3, False),
    "extra trees of numbers": (ExtraTreesRegressor(20, random_state=0), 0, False),
    "boosting": (HistGradientBoostingClassifier(max_iter=20), 2, True),
    "boosting of 4": (HistGradientBoostingClassifier(max_iter=7), 4, True),
    "boosting with codes": (
        HistGradientBoostingClassifier(max_iter=20, categorical_features=CODED), 3, True,
    ),
    "boosting of numbers with codes": (
        HistGradientBoostingRegressor(max_iter=20, categorical_features=CODED), 0, True,
    ),
    "boosting of counts": (HistGradientBoostingRegressor(loss="poisson", max_iter=20), 0, True),
    "constant": (DummyClassifier(strategy="prior"), 3, True),
    "constant number": (DummyRegressor(strategy="median"), 0, True),
}  # fmt: skip


@pytest.fixture(scope="module", params=list(CASES))
def fitted(request: pytest.FixtureRequest) -> tuple[Any, InputSchema, np.ndarray]:
    """A fitted estimator, its schema, and rows that it has not seen."""
    estimator, classes, gaps = CASES[request.param]
    matrix = _matrix(gaps=gaps)
    target = _target(matrix, classes)
    if request.param == "boosting of counts":
        target = np.abs(target)
    estimator.fit(matrix[:250], target[:250])
    return estimator, _schema(classes), matrix[250:]


def _own(estimator: Any, schema: InputSchema, matrix: np.ndarray) -> np.ndarray:
    return np.asarray(
        estimator.predict_proba(matrix) if schema.classes else estimator.predict(matrix)
    )


def _numbers(found: Predictions) -> np.ndarray:
    return np.array(found.values) if found.probabilities is None else found.probabilities


def test_the_compiled_form_serves_and_says_so(fitted: Any) -> None:
    estimator, schema, matrix = fitted
    made = predictor.build(schema, estimator, matrix)
    assert made.compiled
    assert made.backend is not None
    assert made.backend.name in ("linear arrays", "joined trees", "constant")
    assert "equal to the estimator within" in made.backend.reason
    assert made.backend.difference < 1e-9
    assert set(made.backend.microseconds) == {"1", "10", "100", "1000"}


def test_trees_give_the_bits_of_scikit_learn_and_linear_models_its_numbers(fitted: Any) -> None:
    estimator, schema, matrix = fitted
    made = predictor.Predictor(schema, estimator, way="compiled")
    found, own = _numbers(made.predict(matrix)), _own(estimator, schema, matrix)
    if compile_estimator(estimator).name == "linear arrays":
        np.testing.assert_allclose(found, own, rtol=1e-9, atol=1e-12)
    else:
        assert np.array_equal(found, own)


def test_a_row_is_answered_alike_alone_and_among_many(fitted: Any) -> None:
    estimator, schema, matrix = fitted
    made = predictor.Predictor(schema, estimator, way="compiled")
    many = np.tile(matrix, (20, 1))  # enough to be answered tree after tree
    whole = _numbers(made.predict(many))
    for place in (0, 7, len(matrix) - 1):
        alone = _numbers(made.predict(matrix[place : place + 1]))
        assert np.array_equal(alone[0], whole[place])
        assert np.array_equal(whole[place], whole[place + len(matrix)])


def test_it_outlives_the_artifact_and_does_without_the_estimator(fitted: Any) -> None:
    estimator, schema, matrix = fitted
    made = predictor.build(schema, estimator, matrix)
    made.estimator_from = None
    loaded = artifacts.loads(artifacts.dumps(made))
    assert loaded.estimator is None
    assert np.array_equal(_numbers(loaded.predict(matrix)), _numbers(made.predict(matrix)))


def test_strange_rows_are_answered_and_not_an_error(fitted: Any) -> None:
    estimator, schema, _ = fitted
    made = predictor.Predictor(schema, estimator, way="compiled")
    strange = np.array([[1e300] * WIDTH, [-1e300] * WIDTH, [0.5] * WIDTH, [1e39] * WIDTH])
    with np.errstate(all="ignore"):
        found = made.predict(strange)
    assert len(found.values) == len(strange)


@pytest.mark.parametrize(
    ("estimator", "words"),
    [
        (make_pipeline(PCA(2), LogisticRegression()), "PCA has no compiled form"),
        (GradientBoostingClassifier(n_estimators=2), "GradientBoostingClassifier has no compiled"),
        (
            make_pipeline(StandardScaler(), FunctionTransformer(np.abs), LogisticRegression()),
            "with a function",
        ),
        (make_pipeline(OneHotEncoder(), LogisticRegression()), "only with handle_unknown='ignore'"),
    ],
)
def test_what_has_no_compiled_form_is_served_as_it_is_and_the_reason_kept(
    estimator: Any, words: str
) -> None:
    matrix = _matrix(gaps=False)
    matrix = np.round(matrix) % 3 if "OneHot" in repr(estimator) else matrix
    estimator.fit(matrix, _target(matrix, 2))
    with pytest.raises(NoCompiledFormError, match=words):
        compile_estimator(estimator)
    made = predictor.build(_schema(2), estimator, matrix)
    assert not made.compiled
    assert made.backend is not None
    assert (made.backend.name, words in made.backend.reason) == ("estimator", True)


def test_a_compiled_form_that_differs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = _matrix(gaps=False)
    estimator = make_pipeline(StandardScaler(), LogisticRegression())
    estimator.fit(matrix, _target(matrix, 2))
    monkeypatch.setattr(
        "mlkit.steps.predictors.linear.expit", lambda scores: 1 / (1 + np.exp(-scores * 1.1))
    )
    made = predictor.build(_schema(2), estimator, matrix)
    assert made.way != "compiled"
    assert made.backend is not None
    assert "differs from the estimator by" in made.backend.reason


def test_a_forest_of_another_shape_inside_is_refused_and_not_an_error() -> None:
    matrix = _matrix(gaps=False)
    estimator = HistGradientBoostingClassifier(max_iter=2).fit(matrix, _target(matrix, 2))
    changed = pickle.loads(pickle.dumps(estimator))  # noqa: S301  # made a line above
    del changed._baseline_prediction
    with pytest.raises(NoCompiledFormError, match="of this scikit-learn cannot be compiled"):
        compile_estimator(changed)


@settings(max_examples=40)
@given(st.integers(1, 400))
def test_the_selector_leads_to_every_tree(count: int) -> None:
    nodes = {node: (left, right, middle) for node, left, right, middle in halves(count)}
    assert len(nodes) == count - 1
    for number in range(count):
        at = 0 if nodes else -1
        steps = 0
        while at >= 0:
            left, right, middle = nodes[at]
            at = left if number <= middle - 0.5 else right
            steps += 1
        assert -at - 1 == number
        assert steps <= (count - 1).bit_length()


def test_many_deep_trees_outgrow_a_processors_cache_and_few_do_not() -> None:
    rng = np.random.default_rng(0)
    rows, target = rng.normal(size=(4_000, 5)), rng.integers(0, 2, 4_000)
    few = RandomForestClassifier(5, random_state=0).fit(rows, target)
    many = RandomForestClassifier(60, random_state=0).fit(rows, target)
    assert not compile_estimator(few).large
    assert compile_estimator(many).large
    assert not compile_estimator(LogisticRegression().fit(rows, target)).large
