"""Drift tests: whether a column or a whole table differs from a reference, and since when.

Everything from the stored reference to the verdict. The loss of predictions is ``performance``.
"""
