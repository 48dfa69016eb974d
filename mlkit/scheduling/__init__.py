"""What runs jobs: the daemon, cron, systemd units; children, lateness, and their supervision.

What a job does is in ``jobs/``, when it runs is the project's timetable.
"""
