"""The timetable of this machine. Times are UTC: minute hour day-of-month month weekday.

Change a time, remove a line, or add a file with `run(project) -> str` and a line for it. Run one
now with `mlkit job run NAME`; have them run by `mlkit daemon`, cron or systemd (`mlkit job -h`).
"""

import mlkit
from jobs import alerts, backup, drift, materialize, performance, prune, retrain

TIMETABLE = (
    mlkit.Job("drift", drift.run, at="5 1 * * *"),
    mlkit.Job("performance", performance.run, at="20 1 * * *"),
    mlkit.Job("retrain", retrain.run, at="35 1 * * *"),
    mlkit.Job("backup", backup.run, at="15 3 * * *"),
    mlkit.Job("prune", prune.run, at="45 3 * * SUN"),
    mlkit.Job("materialize", materialize.run, at="*/10 * * * *"),
    mlkit.Job("alerts", alerts.run, at="*/5 * * * *"),
)
