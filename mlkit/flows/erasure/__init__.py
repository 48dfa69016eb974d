"""Erasure of data subjects: from datasets, logs, model metadata, reports and restored backups.

Deletion by age is in ``log.retention`` and ``operations``.
"""
