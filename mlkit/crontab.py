"""The user's crontab: put a project's lines into it, between two marks, and touch no other line."""

import shutil
import subprocess
from pathlib import Path

from mlkit.errors import MlkitError

_WAIT_S = 30


def merge(existing: str, root: Path, lines: str) -> str:
    """Return ``existing`` with ``lines`` at its end, instead of those that it has of ``root``.

    At the end, because a ``CRON_TZ`` counts for all lines below it.
    """
    first, last = f"# >>> mlkit {root}", f"# <<< mlkit {root}"
    kept: list[str] = []
    inside = False
    for line in existing.splitlines():
        inside = inside or line == first
        if not inside:
            kept.append(line)
        inside = inside and line != last
    return "\n".join([*kept, first, lines.rstrip("\n"), last]) + "\n"


def install(root: Path, lines: str) -> None:
    """Make ``lines`` the part of ``root`` in the user's crontab; raises MlkitError if it cannot."""
    program = shutil.which("crontab")
    if program is None:
        raise MlkitError(
            "this machine has no crontab command; install cron, or take `mlkit job systemd` or "
            "`mlkit daemon`"
        )
    listed = _call([program, "-l"])
    if listed.returncode and listed.stderr and "no crontab" not in listed.stderr:
        raise MlkitError(f"cannot read the crontab: {listed.stderr.strip()}")
    existing = "" if listed.returncode else listed.stdout
    written = _call([program, "-"], merge(existing, root, lines))
    if written.returncode:
        raise MlkitError(f"cron refused the crontab: {written.stderr.strip()}")


def _call(words: list[str], given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  # the program is the one on the user's path
        words, input=given, capture_output=True, text=True, timeout=_WAIT_S, check=False
    )
