"""Runs jobs: the daemon, cron and systemd units, child processes, supervision, late jobs.

What a job does is in ``jobs/``; when it runs, in the project's timetable.
"""
