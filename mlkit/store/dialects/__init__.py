"""Differences between databases: URLs, errors, JSON, triggers, integrity, read-only disks.

The connection itself is in ``engine``.
"""
