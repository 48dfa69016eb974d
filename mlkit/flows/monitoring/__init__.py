"""Drift and performance: windows of the log against references, verdicts, causes and reports.

The tests themselves are ``steps.drift`` and ``steps.performance``.
"""
