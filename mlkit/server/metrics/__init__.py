"""``/metrics``: counters in memory that workers share, and the page made of them.

What is worth an alert is decided by jobs, not here.
"""
