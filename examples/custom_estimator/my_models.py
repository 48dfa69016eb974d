"""Estimators of this project."""

from sklearn.impute import SimpleImputer
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import RobustScaler


def neighbours() -> Pipeline:
    """Vote among the 25 most similar rows; missing values become the median."""
    vote = KNeighborsClassifier(n_neighbors=25, weights="distance")
    return make_pipeline(SimpleImputer(strategy="median"), RobustScaler(), vote)
