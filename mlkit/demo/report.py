"""The end of the demo in words: a row per month, what it shows, where to look next."""

import os
import shutil
import sys
from pathlib import Path
from shlex import quote
from statistics import fmean

from mlkit.demo.story import Month, Story

HEADERS = ("month", "flights", "live", "frozen", "what moved", "what the loop did")
COMMANDS = (
    ("status", "models, traffic, verdicts, alerts, jobs"),
    ("model history flights", "who promoted which version, when and why"),
    ("report flights", "the same on one page"),
    ("drift check flights", "what has moved since, now"),
    ("features test", "whether the weather that was served is what was learned from"),
    ("alert list --all", "what the monitors said"),
    ("serve", "the champion over HTTP"),
)


def rows(story: Story) -> list[tuple[str, int, float, float, str, str]]:
    """Return the table: errors are mean absolute errors in minutes."""
    return [
        (
            month.name[:3],
            month.rows,
            round(month.mae_live, 1),
            round(month.mae_frozen, 1),
            month.moved,
            month.short_outcome,
        )
        for month in story.months
    ]


def lead(story: Story) -> str:
    """Return what the year has shown, in computed numbers."""
    worst = max(story.months, key=lambda month: month.mae_frozen)
    live = fmean(month.mae_live for month in story.months)
    frozen = fmean(month.mae_frozen for month in story.months)
    return (
        f"v1 learned from January how long flights from New York are in the air, and was "
        f"{story.mae_january:.1f} minutes wrong on the end of that month. Left alone, it would "
        f"have been {worst.mae_frozen:.1f} minutes wrong in {worst.name}; the champion that the "
        f"loop had retrained was {worst.mae_live:.1f} minutes wrong on the same flights. From "
        f"{story.months[0].name} to {story.months[-1].name}: {live:.1f} minutes live, "
        f"{frozen:.1f} frozen."
    )


def traffic(story: Story) -> str:
    """Return how many requests there were, and how many failed."""
    sent = story.requests
    return (
        f"{sent.sent:,} HTTP requests ({sent.meanwhile:,} of them while models were "
        f"retrained and promoted), {sent.failed} failed"
    )


def conclusion(story: Story) -> str:
    """Return what the year has shown and what it took."""
    effort = f"{story.versions} versions trained; {story.seconds:.0f} s"
    return f"{lead(story)}\n\n{traffic(story)}; {effort}."


def closing(story: Story) -> str:
    """Return the commands to look around with."""
    width = max(len(command) for command, _ in COMMANDS)
    lines = [f"  mlkit {command:<{width}}  # {what}" for command, what in COMMANDS]
    first = [f"  {line}" for line in (*_activation(), f"cd {quote(str(story.project))}")]
    pages = [f"The year: {story.report}", f"The model: {story.model_page}"]
    return "\n".join([*pages, "Look around:", *first, *lines])


def line(month: Month) -> str:
    """Return what is said when a month is over."""
    error = f"error {month.mae_live:.1f} min live, {month.mae_frozen:.1f} min frozen v1"
    alerts = [f"  alert: {alert.summary}" for alert in month.alerts]
    return "\n".join([f"{month.name}: {error}", *alerts, f"  {month.said}"])


def _activation() -> list[str]:
    """Return the command that makes ``mlkit`` a word of this shell, if it is none yet."""
    script = Path(sys.executable).with_name("activate")
    mine = Path(sys.executable).with_name("mlkit")
    found = shutil.which("mlkit")
    if found is not None and Path(found).resolve() == mine.resolve():
        return []
    return [f". {quote(os.fspath(script))}"] if script.exists() else []
