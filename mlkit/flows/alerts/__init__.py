"""Alerts: open, deliver to the configured sinks, escalate, snooze and resolve them.

What causes an alert is decided by the checks (``monitoring``, ``scheduling``).
"""
