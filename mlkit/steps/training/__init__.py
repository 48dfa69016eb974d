"""From a matrix to a judged candidate: targets, splits, estimators, tuning, leakage, the gate.

Prediction with a fitted estimator is ``predictors``.
"""
