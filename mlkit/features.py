"""What a project's ``features.py`` imports to declare its features; imports nothing heavy."""

from mlkit.steps.features.view import FeatureView, OnDemand, feature_view, on_demand, sql_view

__all__ = ["FeatureView", "OnDemand", "feature_view", "on_demand", "sql_view"]
