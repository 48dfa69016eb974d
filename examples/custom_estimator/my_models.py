"""Estimators of this project."""

from typing import Any

from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.neighbors import KNeighborsClassifier


def neighbours() -> KNeighborsClassifier:
    """Vote among the 25 most similar rows; what it gets is filled and on one scale."""
    return KNeighborsClassifier(n_neighbors=25, weights="distance")


def trees(schema: Any) -> HistGradientBoostingClassifier:
    """Grow trees that take missing values and codes as they are, and `age` in one direction."""
    columns = schema.columns  # one column of the matrix for each: there is no time among them
    return HistGradientBoostingClassifier(
        categorical_features=[place for place, c in enumerate(columns) if c.kind == "category"],
        monotonic_cst=[-1 if c.name == "age" else 0 for c in columns],
        max_iter=50,
    )
