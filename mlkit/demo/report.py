"""The end of the demo in words: a row per month, what it shows, where to look next."""

from shlex import quote

from mlkit.demo.story import Month, Story

HEADERS = ("month", "flights", "live", "frozen v1", "drifted", "what the loop did")


def rows(story: Story) -> list[tuple[str, int, float, float, str, str]]:
    """Return the table: errors are mean absolute errors in minutes."""
    return [
        (
            month.name,
            month.rows,
            round(month.mae_live, 1),
            round(month.mae_frozen, 1),
            ", ".join(month.drifted) or "-",
            month.outcome,
        )
        for month in story.months
    ]


def conclusion(story: Story) -> str:
    """Return what the year has shown, in computed numbers."""
    worst = max(story.months, key=lambda month: month.mae_frozen)
    sent = story.requests
    return (
        f"On its own month v1 was {story.mae_january:.1f} minutes wrong. In {worst.name}, left "
        f"alone, it would have been {worst.mae_frozen:.1f} minutes wrong; the champion that the "
        f"loop had retrained was {worst.mae_live:.1f}.\n"
        f"{sent.sent:,} HTTP requests, {sent.failed} failed, {sent.meanwhile:,} of them during "
        f"jobs and promotions; {story.versions} versions; {story.seconds:.0f} s."
    )


def closing(story: Story) -> str:
    """Return the commands to look around with."""
    project = f"mlkit --project {quote(str(story.project))}"
    commands = (
        ("status", "models, traffic, verdicts, alerts, jobs"),
        ("model history flights", "who promoted which version, when and why"),
        ("drift check flights", "what has moved, now"),
        ("alert list", "what the monitors said"),
        ("serve", "the champion over HTTP"),
    )
    width = max(len(command) for command, _ in commands)
    lines = [f"  {project} {command:<{width}}  # {what}" for command, what in commands]
    return "\n".join([f"The picture: {story.report}", "Look around:", *lines])


def line(month: Month) -> str:
    """Return what is said when a month is over."""
    return (
        f"{month.name}: error {month.mae_live:.1f} min live, {month.mae_frozen:.1f} frozen; "
        f"{month.outcome}"
    )
