"""From a matrix to a judged candidate: targets, splits, estimators, tuning, leakage, the gate.

Asking what was fitted is ``predictors``.
"""
