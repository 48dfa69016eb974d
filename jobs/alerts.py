"""See to the alerts: what is late, what is due to be told, who has not answered."""

import mlkit


def run(project: mlkit.Project) -> str:
    """Notice jobs that did not run, escalate, end snoozes, and send what waits in the outbox."""
    return mlkit.process_alerts(project)
