"""``/metrics``: counters in memory that the workers share, and the Prometheus page.

Alerts are decided on by jobs, not here.
"""
