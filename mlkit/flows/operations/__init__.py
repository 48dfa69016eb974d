"""Running a project: setup, backup, restore, tokens, database, audit trail, upkeep, status.

Checks that only report are in ``doctor``.
"""
