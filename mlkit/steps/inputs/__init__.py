"""What goes into a model and what comes out: columns, JSON rows, the matrix, answers, bounds.

How answers are computed is ``predictors``.
"""
