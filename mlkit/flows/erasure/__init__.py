"""Erase a person: from datasets, logs, models' memory, reports, and from backups that return.

What was learned is forgotten here, too. Deleting by age is ``log.retention`` and ``operations``.
"""
