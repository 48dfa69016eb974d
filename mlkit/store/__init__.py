"""Persistent state: tables, files, journals. Knows no statistics and no users."""
