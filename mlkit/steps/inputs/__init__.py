"""Model inputs and outputs: columns, JSON rows, the encoded matrix, predictions, bounds.

The computation of predictions is in ``predictors``.
"""
