"""Alerts: opened once, told to the sinks that were set, escalated, snoozed and resolved.

What deserves an alert is decided by whoever watches (``monitoring``, ``scheduling``).
"""
