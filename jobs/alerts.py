"""See to the alerts: what is late, what is due to be told, who has not answered."""

from mlkit.project import Project


def run(project: Project) -> str:
    """Notice jobs that did not run, escalate, end snoozes, and send what waits in the outbox."""
    from mlkit.flows.operations import upkeep
    from mlkit.scheduling import lateness  # a job loads only what it needs

    return f"{lateness.watch(project)}; {upkeep.tend(project)}"
