"""Lineage of datasets, models and predictions; rebuilding of dataset versions.

Reads what other packages have recorded; records nothing itself.
"""
