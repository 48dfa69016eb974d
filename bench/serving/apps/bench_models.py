"""The estimators, as a user of mlkit names them: module:function."""

from typing import Any

from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def logistic(_schema: Any) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def forest(_schema: Any) -> Any:
    return RandomForestClassifier(100, random_state=0, n_jobs=1)


def boosting(_schema: Any) -> Any:
    return HistGradientBoostingClassifier(random_state=0)


def mixed(schema: Any) -> Any:
    from mlkit.steps.inputs import encode

    coded = encode.categorical(schema)
    return HistGradientBoostingClassifier(random_state=0, categorical_features=coded)
