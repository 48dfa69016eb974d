"""The timetable of this machine. Times are UTC: minute hour day-of-month month weekday.

Change a time, remove a line, or add a file with `run(project) -> str` and a line for it. Run one
now with `mlkit job run NAME`; have them run by `mlkit daemon`, cron or systemd (`mlkit job -h`).
"""

from jobs import alerts, backup, drift, materialize, performance, prune, retrain
from mlkit.timetable import Job

TIMETABLE = (
    Job("drift", drift.run, at="5 1 * * *"),
    Job("performance", performance.run, at="20 1 * * *"),
    Job("retrain", retrain.run, at="35 1 * * *"),
    Job("backup", backup.run, at="15 3 * * *"),
    Job("prune", prune.run, at="45 3 * * SUN"),
    Job("materialize", materialize.run, at="*/10 * * * *"),
    Job("alerts", alerts.run, at="*/5 * * * *"),
)
