"""Datasets: from a file, a query or an application to checked, kept and numbered versions.

Also their rules, their quarantine, their export and the locks on their files.
Joins of several datasets are ``features``.
"""
