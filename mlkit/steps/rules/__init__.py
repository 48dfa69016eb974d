"""The rules of a dataset: inference, YAML form, compilation, checks, relaxation, failing rows.

Warnings about anomalies are in ``quality``.
"""
