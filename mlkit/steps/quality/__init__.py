"""Data quality: column profiles, and warnings about anomalies in a table.

Constraints on tables are in ``rules``.
"""
